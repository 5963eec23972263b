import { roundTiesAway } from '../core/rounding.ts';
import { extremeIn, SUPER_BLOCK_SIZE } from './ggml_block.ts';

const { fround } = Math;

/** What a code of 1 stands for: 0. */
const ZERO_CODE = 1;

/**
 * The 256 elements from x[from] as tq1_0 and tq2_0 see them: d = max|x|, codes[i] = 1 + round(x * fround(1 / d)), ties away
 * from zero. Where 1 / d overflows, all codes mean 0 (d is 0 in f16 too).
 * Source: the common part of quantize_row_tq1_0_ref and quantize_row_tq2_0_ref of ggml.
 */
export function ternaryCodes(x: Float32Array, from: number): { d: number; codes: Uint8Array } {
  const d = Math.abs(extremeIn(x, from, SUPER_BLOCK_SIZE));
  const inverse = d === 0 ? 0 : fround(1 / d);
  const codes = new Uint8Array(SUPER_BLOCK_SIZE).fill(ZERO_CODE);
  if (Number.isFinite(inverse)) {
    for (let i = 0; i < SUPER_BLOCK_SIZE; i++) codes[i] = roundTiesAway(fround(x[from + i]! * inverse)) + ZERO_CODE;
  }
  return { d, codes };
}
