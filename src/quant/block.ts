import { DTYPES, type DType, rowBytes } from '../core/dtype.ts';
import { ShapeError, UnsupportedError } from '../core/errors.ts';

/** Elements that share one scale, in the block formats of this folder and in quantized activations. */
export const BLOCK_SIZE = 32;

/**
 * Checks one run of n elements before it is packed or unpacked: whole blocks, and both buffers long enough (a typed array
 * would read undefined, or drop what is written past its end, without a word).
 * Throws ShapeError.
 */
export function checkRun(
  dtype: DType,
  n: number,
  values: Float32Array,
  valueOffset: number,
  bytes: Uint8Array,
  byteOffset: number,
): void {
  const { blockSize } = DTYPES[dtype];
  if (!Number.isInteger(n) || n < 0 || n % blockSize !== 0) {
    throw new ShapeError(`${dtype}: ${n} elements are not whole blocks of ${blockSize}; make rows a multiple of it`);
  }
  checkSpan(`${dtype} values`, valueOffset, n, values.length);
  checkSpan(`${dtype} bytes`, byteOffset, rowBytes(dtype, n), bytes.length);
}

/** Throws ShapeError unless [offset, offset + count) lies within a buffer of `length`. */
export function checkSpan(what: string, offset: number, count: number, length: number): void {
  if (!Number.isInteger(offset) || offset < 0 || offset + count > length) {
    throw new ShapeError(`${what}: needs ${count} from index ${offset}, the buffer holds ${length}`);
  }
}

/**
 * The element of x[from .. from + BLOCK_SIZE) with the largest magnitude, the first of equals, with its sign.
 * Throws UnsupportedError on NaN and infinities: one scale and small integers cannot hold them.
 */
export function extremeOf(dtype: DType, x: Float32Array, from: number): number {
  let extreme = 0;
  for (let i = from; i < from + BLOCK_SIZE; i++) {
    const v = x[i]!;
    if (!Number.isFinite(v)) {
      throw new UnsupportedError(
        `${dtype}: element ${i} is ${v}; this format holds finite numbers only, keep it in f32`,
      );
    }
    if (Math.abs(v) > Math.abs(extreme)) extreme = v;
  }
  return extreme;
}

/** Half a unit in the last place of a binary16 relative to its value, and the largest error where it is subnormal. */
const F16_ROUNDING = 2 ** -11;
const F16_HALF_MIN = 2 ** -25;

/** Largest |d - f16(d)| for a scale d that does not overflow binary16. */
export function scaleError(d: number): number {
  return Math.max(d * F16_ROUNDING, F16_HALF_MIN);
}

/** Scales from here on round to an infinity in binary16. */
export const F16_SCALE_LIMIT = 65520;
