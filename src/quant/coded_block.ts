import type { DType } from '../core/dtype.ts';
import { type BlockLayout, blockLayout, unpackBlocks } from './ggml_block.ts';

/**
 * One block of a format whose weights are small integers times shared scales, taken apart: what a quantized `linear`
 * multiplies, and what `unpack` puts together.
 *
 *   w[i] = d * scales[j] * codes[i] - dmin * mins[j]        j = floor(i / subBlockSize)
 *
 * d and dmin are exact f32. In formats without sub-blocks there is one, with scales[0] = 1; in those without minima,
 * dmin and mins are not read.
 */
export interface CodedBlock {
  d: number;
  dmin: number;
  /** Signed: an offset is already taken off. [blockSize] */
  readonly codes: Int8Array;
  /** [blockSize / subBlockSize] */
  readonly scales: Int16Array;
  /** At least 0. [blockSize / subBlockSize] */
  readonly mins: Int16Array;
}

export interface CodedFormat extends BlockLayout {
  /** Elements that share one integer scale. */
  readonly subBlockSize: number;
  readonly hasMins: boolean;
  /** Fills `block` from the bytes that start at bytes[at]. */
  readonly read: (bytes: Uint8Array, at: number, block: CodedBlock) => void;
}

/** A format of one scale (and perhaps one minimum) for the whole block. */
export function plainFormat(dtype: DType, hasMins: boolean, read: CodedFormat['read']): CodedFormat {
  const layout = blockLayout(dtype);
  return { ...layout, subBlockSize: layout.blockSize, hasMins, read };
}

/** A super-block format, with integer scales for sub-blocks. */
export function superFormat(
  dtype: DType,
  subBlockSize: number,
  hasMins: boolean,
  read: CodedFormat['read'],
): CodedFormat {
  return { ...blockLayout(dtype), subBlockSize, hasMins, read };
}

/** An empty block: scales and mins are 1, which formats without sub-blocks leave as they are. */
export function allocCodedBlock({ blockSize, subBlockSize }: CodedFormat): CodedBlock {
  const nSub = blockSize / subBlockSize;
  return {
    d: 0,
    dmin: 0,
    codes: new Int8Array(blockSize),
    scales: new Int16Array(nSub).fill(1),
    mins: new Int16Array(nSub).fill(1),
  };
}

/**
 * out[outOffset + i] = fround(d * s * c[i] - dmin * m) for the n elements (whole blocks) stored at byteOffset. Both products
 * are exact: 11 bits of d, at most 8 of s, 8 of c.
 * Throws ShapeError when n is not whole blocks or a buffer is too short.
 */
export function unpackCoded(
  format: CodedFormat,
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  const { blockSize, subBlockSize, hasMins, read } = format;
  const block = allocCodedBlock(format);
  const unpackBlock = (from: Uint8Array, at: number, values: Float32Array, to: number): void => {
    read(from, at, block);
    for (let first = 0, j = 0; first < blockSize; first += subBlockSize, j++) {
      const scale = block.d * block.scales[j]!;
      const min = hasMins ? block.dmin * block.mins[j]! : 0;
      // Without a minimum nothing is subtracted: -0 - 0 would be the same, but this is the formula.
      for (let i = first; i < first + subBlockSize; i++) {
        const product = scale * block.codes[i]!;
        values[to + i] = hasMins ? product - min : product; // the store is the one rounding
      }
    }
  };
  unpackBlocks(format, unpackBlock, bytes, byteOffset, out, outOffset, n);
}
