import { f16ToF32, f32ToF16 } from '../core/half.ts';
import { checkRun } from './block.ts';

/**
 * f16: each element an IEEE 754 binary16; 2 bytes, little-endian.
 *
 *   byte    0         1
 *        ffffffff  seeeeeff        value = (-1)^s * 2^(e - 15) * 1.f;  e = 0: (-1)^s * 2^-14 * 0.f;  e = 31: infinity, NaN
 */

/** |x| from here on rounds to an infinity: halfway between the largest binary16, 65504, and 65536. */
const F16_OVERFLOW = 65520;

/** out[outOffset + i] = element i of the n stored at byteOffset, exactly. Throws ShapeError when a buffer is too short. */
export function unpackF16(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  checkRun('f16', n, out, outOffset, bytes, byteOffset);
  for (let i = 0; i < n; i++) {
    const at = byteOffset + 2 * i;
    out[outOffset + i] = f16ToF32(bytes[at]! | (bytes[at + 1]! << 8));
  }
}

/** Stores x[from .. from + n) rounded to nearest, ties to even. Throws ShapeError when a buffer is too short. */
export function packF16(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  checkRun('f16', n, x, from, bytes, byteOffset);
  for (let i = 0; i < n; i++) {
    const bits = f32ToF16(x[from + i]!);
    bytes[byteOffset + 2 * i] = bits & 0xff;
    bytes[byteOffset + 2 * i + 1] = bits >>> 8;
  }
}

/** Half a unit in the last place: 2^-11 |x|, or 2^-25 where binary16 is subnormal. Infinity where it overflows. */
export function worstCaseErrorF16(amax: number): number {
  return amax < F16_OVERFLOW ? Math.max(amax * 2 ** -11, 2 ** -25) : Infinity;
}
