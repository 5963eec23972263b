import type { DType } from '../core/dtype.ts';
import { UnsupportedError } from '../core/errors.ts';
import { f16ToF32 } from '../core/half.ts';
import { BLOCK_SIZE } from './block.ts';

/**
 * One block as the integers that a quantized `linear` multiplies: w[i] = d * codes[i].
 *
 * codes: filled with BLOCK_SIZE values, -128..127 for q8_0 and -8..7 for q4_0 (its offset is already taken off).
 * Returns the scale d, exact.  Throws UnsupportedError for a format that has no such codes.
 */
export function readCodes(dtype: DType, bytes: Uint8Array, at: number, codes: Int8Array): number {
  switch (dtype) {
    case 'q8_0':
      for (let i = 0; i < BLOCK_SIZE; i++) codes[i] = bytes[at + 2 + i]!;
      break;
    case 'q4_0':
      for (let i = 0; i < BLOCK_SIZE / 2; i++) {
        const pair = bytes[at + 2 + i]!;
        codes[i] = (pair & 0x0f) - 8;
        codes[BLOCK_SIZE / 2 + i] = (pair >>> 4) - 8;
      }
      break;
    case 'f32':
    case 'f16':
    case 'bf16':
      throw new UnsupportedError(
        `${dtype} weights have no integer codes; only block formats take quantized activations`,
      );
    default:
      return dtype satisfies never;
  }
  return f16ToF32(bytes[at]! | (bytes[at + 1]! << 8));
}
