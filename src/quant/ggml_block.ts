import { DTYPES, type DType, type DTypeInfo } from '../core/dtype.ts';
import { ShapeError, UnsupportedError } from '../core/errors.ts';
import { f16ToF32, f32ToF16 } from '../core/half.ts';
import { checkSpan } from './block.ts';

/**
 * What all block formats of ggml share: the walk over a row's blocks, its checks, and the fields inside a block.
 * A format's own file holds the drawing of its bytes and what one block means.
 */
export interface BlockLayout extends DTypeInfo {
  readonly name: DType;
}

export function blockLayout(dtype: DType): BlockLayout {
  return { name: dtype, ...DTYPES[dtype] };
}

/** Elements of a super-block: all formats with `_k` in their names, the `iq` ones but iq4_nl, and the `tq` ones. */
export const SUPER_BLOCK_SIZE = 256;

/** out[to .. to + blockSize) = the values of the block whose first byte is bytes[at]. */
export type UnpackBlock = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/** Stores x[from .. from + blockSize), all finite, in the block that starts at bytes[at]. Its bytes are 0 before. */
export type PackBlock = (x: Float32Array, from: number, bytes: Uint8Array, at: number) => void;

/**
 * Unpacks n elements (whole blocks) from byteOffset on into out[outOffset ...].
 * Throws ShapeError when n is not whole blocks or a buffer is too short.
 */
export function unpackBlocks(
  layout: BlockLayout,
  unpackBlock: UnpackBlock,
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  const nBlocks = checkBlocks(layout, n, out, outOffset, bytes, byteOffset);
  for (let block = 0; block < nBlocks; block++) {
    unpackBlock(bytes, byteOffset + block * layout.blockBytes, out, outOffset + block * layout.blockSize);
  }
}

/**
 * Packs x[from .. from + n) (whole blocks) from byteOffset on.
 * Throws ShapeError as above; UnsupportedError on NaN and infinities, before its block is touched.
 */
export function packBlocks(
  layout: BlockLayout,
  packBlock: PackBlock,
  x: Float32Array,
  from: number,
  n: number,
  bytes: Uint8Array,
  byteOffset: number,
): void {
  const nBlocks = checkBlocks(layout, n, x, from, bytes, byteOffset);
  for (let block = 0; block < nBlocks; block++) {
    const first = from + block * layout.blockSize;
    const at = byteOffset + block * layout.blockBytes;
    checkFinite(layout, x, first);
    bytes.fill(0, at, at + layout.blockBytes);
    packBlock(x, first, bytes, at);
  }
}

/** The number of blocks of n elements; checks both buffers for them. */
function checkBlocks(
  { name, blockSize, blockBytes }: BlockLayout,
  n: number,
  values: Float32Array,
  valueOffset: number,
  bytes: Uint8Array,
  byteOffset: number,
): number {
  if (!Number.isInteger(n) || n < 0 || n % blockSize !== 0) {
    throw new ShapeError(`${name}: ${n} elements are not whole blocks of ${blockSize}; make rows a multiple of it`);
  }
  const nBlocks = n / blockSize;
  checkSpan(`${name} values`, valueOffset, n, values.length);
  checkSpan(`${name} bytes`, byteOffset, nBlocks * blockBytes, bytes.length);
  return nBlocks;
}

function checkFinite({ name, blockSize }: BlockLayout, x: Float32Array, from: number): void {
  for (let i = from; i < from + blockSize; i++) {
    if (!Number.isFinite(x[i]!)) {
      throw new UnsupportedError(
        `${name}: element ${i} is ${x[i]!}; this format holds finite numbers only, keep it in f32`,
      );
    }
  }
}

/** The f16 at bytes[at], exactly. */
export function readF16(bytes: Uint8Array, at: number): number {
  return f16ToF32(readU16(bytes, at));
}

/** Stores x as f16, rounded to nearest, ties to even; returns the value stored. */
export function writeF16(bytes: Uint8Array, at: number, x: number): number {
  const bits = f32ToF16(x);
  writeU16(bytes, at, bits);
  return f16ToF32(bits);
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Stores the low 16 bits of `value`, which may be a negative integer. */
export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}

export function readI8(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) >> 24;
}

/** The element of x[from .. from + n) with the largest magnitude, the first of equals, with its sign. */
export function extremeIn(x: Float32Array, from: number, n: number): number {
  let extreme = 0;
  for (let i = from; i < from + n; i++) {
    if (Math.abs(x[i]!) > Math.abs(extreme)) extreme = x[i]!;
  }
  return extreme;
}

/** The smallest of x[from .. from + n), the first of equals: +0 and -0 count as equal. n > 0. */
export function minIn(x: Float32Array, from: number, n: number): number {
  let min = x[from]!;
  for (let i = from + 1; i < from + n; i++) if (x[i]! < min) min = x[i]!;
  return min;
}

/** The largest, likewise. */
export function maxIn(x: Float32Array, from: number, n: number): number {
  let max = x[from]!;
  for (let i = from + 1; i < from + n; i++) if (x[i]! > max) max = x[i]!;
  return max;
}
