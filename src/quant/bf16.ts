import { bf16ToF32, f32ToBf16 } from '../core/half.ts';
import { checkRun } from './block.ts';

/**
 * bf16: each element the upper half of a binary32; 2 bytes, little-endian.
 *
 *   byte    0         1
 *        efffffff  seeeeeee        value = the f32 whose lower 16 bits are zero
 */

/** |x| from here on rounds to an infinity: halfway between the largest bf16 and 2^128. */
const BF16_OVERFLOW = 2 ** 128 - 2 ** 119;

/** out[outOffset + i] = element i of the n stored at byteOffset, exactly. Throws ShapeError when a buffer is too short. */
export function unpackBf16(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  checkRun('bf16', n, out, outOffset, bytes, byteOffset);
  for (let i = 0; i < n; i++) {
    const at = byteOffset + 2 * i;
    out[outOffset + i] = bf16ToF32(bytes[at]! | (bytes[at + 1]! << 8));
  }
}

/** Stores x[from .. from + n) rounded to nearest, ties to even. Throws ShapeError when a buffer is too short. */
export function packBf16(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  checkRun('bf16', n, x, from, bytes, byteOffset);
  for (let i = 0; i < n; i++) {
    const bits = f32ToBf16(x[from + i]!);
    bytes[byteOffset + 2 * i] = bits & 0xff;
    bytes[byteOffset + 2 * i + 1] = bits >>> 8;
  }
}

/** Half a unit in the last place: 2^-8 |x|, or 2^-134 where bf16 is subnormal. Infinity where it overflows. */
export function worstCaseErrorBf16(amax: number): number {
  return amax < BF16_OVERFLOW ? Math.max(amax * 2 ** -8, 2 ** -134) : Infinity;
}
