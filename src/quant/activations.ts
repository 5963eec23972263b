import { ShapeError } from '../core/errors.ts';
import { roundTiesToEven } from '../core/rounding.ts';
import { F32_MIN, gamma } from '../core/sum.ts';
import { BLOCK_SIZE, checkSpan } from './block.ts';
import { SUPER_BLOCK_SIZE } from './ggml_block.ts';

/**
 * How a row of f32 activations enters a quantized `linear`: in blocks along the row, each with one f32 scale d and int8 codes.
 * A block is as long as one of the weights: 32, or 256 for super-block formats. This is the definition; kernels give the same
 * bits.
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

/** Codes of a super-block that have one sum: the shortest sub-blocks of weights that share a minimum are as long. */
const SUPER_SUM_SIZE = 16;

/** One quantized row. Buffers may be longer than the row needs; only its part is written. */
export interface QuantizedRow {
  /** Elements that share one scale: 32 or 256. */
  readonly blockSize: number;
  /** Elements whose codes are summed: 32, or 16 in blocks of 256. */
  readonly sumSize: number;
  /** [n] */
  readonly codes: Int8Array;
  /** d of each block: [n / blockSize] */
  readonly scales: Float32Array;
  /**
   * Sums of the codes, |sum| <= 127 sumSize: [n / sumSize]. Weights with minima are multiplied by them, and kernels use them
   * to take out the offset of unsigned codes.
   */
  readonly sums: Int32Array;
}

/** Buffers for a row of n elements in blocks of 32 or 256. Throws ShapeError when n is not whole blocks. */
export function allocQuantizedRow(n: number, blockSize: number = BLOCK_SIZE): QuantizedRow {
  const sumSize = blockSize === SUPER_BLOCK_SIZE ? SUPER_SUM_SIZE : blockSize;
  const nBlocks = blocksIn(n, blockSize);
  return {
    blockSize,
    sumSize,
    codes: new Int8Array(n),
    scales: new Float32Array(nBlocks),
    sums: new Int32Array(n / sumSize),
  };
}

/**
 * Quantizes x[from .. from + n) into `out`, from its index 0 on, in blocks of its size.
 * Throws ShapeError when n is not whole blocks or a buffer is too short. Error: `activationErrorBound`.
 */
export function quantizeActivations(x: Float32Array, from: number, n: number, out: QuantizedRow): void {
  const { blockSize, sumSize, codes, scales, sums } = out;
  const nBlocks = blocksIn(n, blockSize);
  checkSpan('activations', from, n, x.length);
  checkSpan('activation codes', 0, n, codes.length);
  checkSpan('activation scales', 0, nBlocks, scales.length);
  checkSpan('activation sums', 0, n / sumSize, sums.length);

  for (let block = 0; block < nBlocks; block++) {
    const first = block * blockSize;
    const d = scaleOf(x, from + first, blockSize);
    const usable = d > 0; // false for 0 and for NaN
    for (let i = first; i < first + blockSize; i++) codes[i] = usable ? codeOf(x[from + i]!, d) : 0;
    scales[block] = d;
  }
  for (let part = 0; part < n / sumSize; part++) {
    let sum = 0;
    for (let i = part * sumSize; i < (part + 1) * sumSize; i++) sum += codes[i]!;
    sums[part] = sum;
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
function scaleOf(x: Float32Array, first: number, blockSize: number): number {
  let amax = 0;
  for (let i = first; i < first + blockSize; i++) amax = Math.max(amax, Math.abs(x[i]!)); // keeps NaN
  return amax < Infinity ? fround(amax / MAX_ACTIVATION_CODE) : NaN;
}

function codeOf(x: number, d: number): number {
  const nearest = roundTiesToEven(fround(x / d));
  return Math.min(Math.max(nearest, -MAX_ACTIVATION_CODE), MAX_ACTIVATION_CODE);
}

function blocksIn(n: number, blockSize: number): number {
  if (!Number.isInteger(n) || n < 0 || n % blockSize !== 0) {
    throw new ShapeError(`activations: a row of ${n} is not whole blocks of ${blockSize}; use --activations f32`);
  }
  return n / blockSize;
}
