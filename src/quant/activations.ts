import { ShapeError } from '../core/errors.ts';
import { roundTiesToEven } from '../core/rounding.ts';
import { F32_MIN, gamma } from '../core/sum.ts';
import { BLOCK_SIZE, checkSpan } from './block.ts';

/**
 * How a row of f32 activations enters a quantized `linear`: blocks of 32 along the row, one f32 scale d and 32 int8 codes.
 * This is the definition; kernels give the same bits.
 *
 *   amax = max |x|                    NaN when any x is NaN
 *   d    = fround(amax / 127)         NaN when amax is not finite: the block's results are then NaN in every tier
 *   code = clamp(roundTiesToEven(fround(x / d)), -127, 127)        0 when d is 0 or NaN
 *
 * The clamp acts only where d is subnormal, and so too coarse for amax / d to come out at 127.
 */
const { fround } = Math;

/** Codes use -127..127, so that negating a code cannot overflow. */
export const MAX_ACTIVATION_CODE = 127;

/** One quantized row. Buffers may be longer than the row needs; only its part is written. */
export interface QuantizedRow {
  /** [n] */
  readonly codes: Int8Array;
  /** d of each block: [n / 32] */
  readonly scales: Float32Array;
  /** Sum of the codes of each block, |sum| <= 4064: [n / 32]. Kernels use it to take out the offset of unsigned codes. */
  readonly sums: Int32Array;
}

/** Buffers for a row of n elements. Throws ShapeError when n is not a multiple of 32. */
export function allocQuantizedRow(n: number): QuantizedRow {
  const nBlocks = blocksIn(n);
  return { codes: new Int8Array(n), scales: new Float32Array(nBlocks), sums: new Int32Array(nBlocks) };
}

/**
 * Quantizes x[from .. from + n) into `out`, from its index 0 on.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short. Error: `activationErrorBound`.
 */
export function quantizeActivations(x: Float32Array, from: number, n: number, out: QuantizedRow): void {
  const nBlocks = blocksIn(n);
  checkSpan('activations', from, n, x.length);
  checkSpan('activation codes', 0, n, out.codes.length);
  checkSpan('activation scales', 0, nBlocks, out.scales.length);
  checkSpan('activation sums', 0, nBlocks, out.sums.length);

  for (let block = 0; block < nBlocks; block++) {
    const first = block * BLOCK_SIZE;
    const d = scaleOf(x, from + first);
    const usable = d > 0; // false for 0 and for NaN
    let sum = 0;
    for (let i = first; i < first + BLOCK_SIZE; i++) {
      const code = usable ? codeOf(x[from + i]!, d) : 0;
      out.codes[i] = code;
      sum += code;
    }
    out.scales[block] = d;
    out.sums[block] = sum;
  }
}

/**
 * Largest |x - d * code| within a block of finite values with scale d:
 *   half a step; two roundings (of d and of x / d, at most 127); and for a subnormal d, off by up to 2^-150, 127 times that.
 */
export function activationErrorBound(d: number): number {
  return d * (0.5 + MAX_ACTIVATION_CODE * gamma(3)) + MAX_ACTIVATION_CODE * (F32_MIN / 2);
}

/** d of one block, see above. */
function scaleOf(x: Float32Array, first: number): number {
  let amax = 0;
  for (let i = first; i < first + BLOCK_SIZE; i++) amax = Math.max(amax, Math.abs(x[i]!)); // keeps NaN
  return amax < Infinity ? fround(amax / MAX_ACTIVATION_CODE) : NaN;
}

function codeOf(x: number, d: number): number {
  const nearest = roundTiesToEven(fround(x / d));
  return Math.min(Math.max(nearest, -MAX_ACTIVATION_CODE), MAX_ACTIVATION_CODE);
}

function blocksIn(n: number): number {
  if (!Number.isInteger(n) || n < 0 || n % BLOCK_SIZE !== 0) {
    throw new ShapeError(`activations: a row of ${n} is not whole blocks of ${BLOCK_SIZE}; use --activations f32`);
  }
  return n / BLOCK_SIZE;
}
