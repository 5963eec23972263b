import type { DType } from './dtype.ts';
import { ShapeError } from './errors.ts';
import { type Shape, showShape, sizeOf } from './shape.ts';

/** An activation: dense, row major, outermost axis first. The f32 tiers use Float32Array, naive64 Float64Array. */
export interface Tensor<A extends Float32Array | Float64Array = Float32Array> {
  readonly shape: Shape;
  readonly data: A;
}

/** A weight as its file has it: rows of blocks, `[out, in]`, nothing converted. */
export interface Weight {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** The file's bytes: product of the outer axes x rowBytes(dtype, last axis). */
  readonly bytes: Uint8Array;
}

/** Throws ShapeError when `data` does not fill `shape`. */
export function tensor<A extends Float32Array | Float64Array>(shape: Shape, data: A): Tensor<A> {
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError(`tensor ${showShape(shape)} needs ${sizeOf(shape)} elements, got ${data.length}`);
  }
  return { shape, data };
}
