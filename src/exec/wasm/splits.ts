import type { DType } from '../../core/dtype.ts';
import type { KernelBuild } from '../../core/host.ts';
import { LANE_POSITIONS } from '../../kvcache/layout.ts';
import { BLOCK_SIZE } from '../../quant/block.ts';
import { SUPER_BLOCK_SIZE } from '../../quant/ggml_block.ts';
import type { CoreKernels, FormatKernels } from './kernels.ts';
import { attendScratchBytes, GROUP_TOKENS, linearScratchBytes, panelRows, quantizedRowsBytes } from './layout.ts';
import type { Split } from './shares.ts';

/**
 * How a call of each kernel is split between threads: over outputs that are computed apart (panels, tokens, heads, elements).
 * Who computes which makes no difference to the bits.
 */
export interface CallSplit extends Split {
  /** Shares are whole multiples of this many units. */
  readonly grain: number;
  /** About how long one unit takes, in nanoseconds: what is not worth a share is not shared. */
  readonly unitNs: number;
}

export type SplitOf<Call extends (...args: never[]) => unknown> = (...args: Parameters<Call>) => CallSplit;

/** Every core kernel, and null for those that are never split: a new kernel has to say which it is. */
export type CoreSplits = {
  readonly [K in Exclude<keyof CoreKernels, 'heapBase'>]: SplitOf<CoreKernels[K]> | null;
};

const F32_BYTES = 4;
/** Rough costs on one core, good to a factor of two. */
const MOVE_NS = 0.4; // an element that is read and written
const EXP_NS = 1.5;
const QUANTIZE_NS = 1;
const PRODUCT_NS = { f32: 0.06, q8: 0.03, wide: 0.25 } as const; // a product that is added

/** With fewer tokens attention is split by heads: those of a group share what they read. */
const MANY_TOKENS = 16;
/** Elements and tokens of one share are whole vectors, groups of quantized tokens and tiles. */
const VECTOR = 4;
const TOKENS = 2 * GROUP_TOKENS;
/** Tokens that products with sums in f64 take together. */
const TILE_TOKENS = 4;
/** Panels that linear kernels walk over at once: of f32 products, of coded ones with one token. */
const PANELS = { f32: 4, q8: 2 } as const;

export function coreSplits(build: KernelBuild): CoreSplits {
  const rope: SplitOf<CoreKernels['ropeF32Pairs']> = (_y, yStride, _x, xStride, _p, _c, _s, _n, nHeads, headDim) => ({
    countAt: 7,
    steps: [0, F32_BYTES * yStride, 2, F32_BYTES * xStride, 4, F32_BYTES],
    grain: 1,
    unitNs: nHeads * headDim * MOVE_NS,
  });
  const attendScores: SplitOf<CoreKernels['attendScoresF32']> = (
    _s,
    ss,
    sHead,
    _q,
    qs,
    _k,
    kHead,
    _l,
    _starts,
    _sinks,
    nTokens,
    nKvHeads,
    group,
    headDim,
    _from,
    n,
  ) => {
    if (nTokens >= MANY_TOKENS) {
      const perToken = [0, F32_BYTES * ss, 3, F32_BYTES * qs, 7, F32_BYTES, 8, F32_BYTES];
      return {
        countAt: 10,
        steps: perToken,
        grain: TOKENS,
        unitNs: nKvHeads * group * headDim * n * PRODUCT_NS.f32,
      };
    }
    const perKvHead = [0, F32_BYTES * group * sHead, 3, F32_BYTES * group * headDim, 5, kHead];
    return { countAt: 11, steps: perKvHead, grain: 1, unitNs: nTokens * group * headDim * n * PRODUCT_NS.f32 };
  };
  const binary = {
    countAt: 3,
    steps: [0, F32_BYTES, 1, F32_BYTES, 2, F32_BYTES],
    grain: VECTOR,
    unitNs: MOVE_NS,
  };
  const unary = {
    countAt: 2,
    steps: [0, F32_BYTES, 1, F32_BYTES],
    grain: VECTOR,
    unitNs: EXP_NS,
  };
  // By columns, as the products before and after it; rows may be far apart, and of few tokens there are few.
  const gated: SplitOf<CoreKernels['swigluF32']> = (_y, _ys, _gate, _gs, _up, _us, nTokens) => ({
    countAt: 7,
    steps: [0, F32_BYTES, 2, F32_BYTES, 4, F32_BYTES],
    grain: VECTOR,
    unitNs: nTokens * EXP_NS,
  });
  const kvWrite: SplitOf<CoreKernels['kvWriteKF32']> = (_k, headStride, _p, _x, _xs, nTokens, _n, headDim) => ({
    countAt: 6,
    steps: [0, headStride, 3, F32_BYTES * headDim],
    grain: 1,
    unitNs: nTokens * headDim * MOVE_NS,
  });
  const kvPack: SplitOf<CoreKernels['kvPackQ80']> = (_to, headStride, _p, _x, _xs, nTokens, _n, headDim) => ({
    countAt: 6,
    steps: [0, headStride, 3, F32_BYTES * headDim],
    grain: 1,
    unitNs: nTokens * headDim * QUANTIZE_NS,
  });
  const kvUnpack: SplitOf<CoreKernels['kvUnpackQ80']> = (_y, yHead, _from, headStride, nGroups, _n, headDim) => ({
    countAt: 5,
    steps: [0, yHead, 2, headStride],
    grain: 1,
    unitNs: nGroups * LANE_POSITIONS * headDim * MOVE_NS,
  });
  const quantize =
    (blockSize: number): SplitOf<CoreKernels['quantizeRowsQ8']> =>
    (_q, _x, xStride, nTokens, nIn) => ({
      countAt: 3,
      steps: [0, quantizedRowsBytes(build, 1, nIn, blockSize), 1, F32_BYTES * xStride],
      grain: TOKENS,
      // Less than one group lies in another order: a share must not end with it.
      unitNs: nTokens % GROUP_TOKENS === 0 ? nIn * QUANTIZE_NS : 0,
    });
  /** A norm that rounds its rows: where its f32 rows are among the arguments, where the codes, where the number of tokens. */
  const codedNorm = (
    rows: readonly number[],
    q: number,
    countAt: number,
    nTokens: number,
    dim: number,
    blockSize: number,
  ): CallSplit => ({
    countAt,
    steps: [...rows.flatMap((at) => [at, F32_BYTES * dim]), q, quantizedRowsBytes(build, 1, dim, blockSize)],
    grain: TOKENS,
    unitNs: nTokens % GROUP_TOKENS === 0 ? dim * (MOVE_NS + QUANTIZE_NS) : 0, // as above
  });
  return {
    addF32: () => binary,
    mulF32: () => binary,
    siluF32: () => unary,
    siluFastF32: () => unary,
    geluF32: () => unary,
    geluTanhF32: () => unary,
    quickGeluF32: () => unary,
    reluF32: () => unary,
    positionBiasF32: null, // one addition for each score, whose products cost a head's width
    tanhF32: () => unary,
    sigmoidF32: () => unary,
    softCapF32: () => unary,
    scaleF32: () => ({ ...unary, unitNs: MOVE_NS }),
    swigluF32: gated,
    swigluFastF32: gated,
    gegluF32: gated,
    gegluTanhF32: gated,
    rmsNormF32: (_y, _x, _g, _n, dim) => ({
      countAt: 3,
      steps: [0, F32_BYTES * dim, 1, F32_BYTES * dim],
      grain: 1,
      unitNs: dim * MOVE_NS,
    }),
    residualNormF32: (_sum, _norm, _a, _b, _g, _n, dim) => ({
      countAt: 5,
      steps: [0, F32_BYTES * dim, 1, F32_BYTES * dim, 2, F32_BYTES * dim, 3, F32_BYTES * dim],
      grain: 1,
      unitNs: 2 * dim * MOVE_NS,
    }),
    layerNormF32: (_y, _x, _g, _b, _n, dim) => ({
      countAt: 4,
      steps: [0, F32_BYTES * dim, 1, F32_BYTES * dim],
      grain: 1,
      unitNs: dim * MOVE_NS,
    }),
    addBiasF32: (_y, _x, _b, _nTokens, n) => ({
      countAt: 3,
      steps: [0, F32_BYTES * n, 1, F32_BYTES * n],
      grain: 1,
      unitNs: n * MOVE_NS,
    }),
    softmaxF32(_p, _x, _l, _starts, _sinks, nHeads, headStride, nTokens, stride) {
      if (nTokens >= MANY_TOKENS) {
        const perToken = [0, F32_BYTES * stride, 1, F32_BYTES * stride, 2, F32_BYTES, 3, F32_BYTES];
        return { countAt: 7, steps: perToken, grain: 1, unitNs: nHeads * stride * EXP_NS };
      }
      const perHead = [0, F32_BYTES * headStride, 1, F32_BYTES * headStride];
      return { countAt: 5, steps: perHead, grain: 1, unitNs: nTokens * stride * EXP_NS };
    },
    ropeF32Pairs: rope,
    ropeF32Halves: rope,
    takeRowsF32: null, // as few rows as logits are wanted
    sliceF32: null, // only what cannot be read in place is copied
    concatF32: null, // moves heads once, as sliceF32
    expertSumF32: (_y, _x, _w, _n, nChosen, dim) => ({
      countAt: 3,
      steps: [0, F32_BYTES * dim, 1, F32_BYTES * nChosen * dim, 2, F32_BYTES * nChosen],
      grain: 1,
      unitNs: nChosen * dim * MOVE_NS,
    }),
    kvWriteKF32: kvWrite,
    kvWriteVF32: kvWrite,
    ropeWriteKF32: (_k, headStride, _p, _x, _xs, _at, _cos, _sin, nTokens, _n, headDim) => ({
      countAt: 9,
      steps: [0, headStride, 3, F32_BYTES * headDim],
      grain: 1,
      unitNs: nTokens * headDim * MOVE_NS,
    }),
    kvPackQ80: kvPack,
    kvPackQ40: kvPack,
    kvUnpackQ80: kvUnpack,
    kvUnpackQ40: kvUnpack,
    attendScoresF32: attendScores,
    attendMixF32(_y, ys, _p, ss, sHead, _v, vHead, _l, _starts, _sinks, nTokens, nKvHeads, group, headDim, _from, n) {
      if (nTokens >= MANY_TOKENS) {
        const perToken = [0, F32_BYTES * ys, 2, F32_BYTES * ss, 7, F32_BYTES, 8, F32_BYTES];
        return {
          countAt: 10,
          steps: perToken,
          grain: TOKENS,
          unitNs: nKvHeads * group * headDim * n * PRODUCT_NS.f32,
        };
      }
      const perKvHead = [0, F32_BYTES * group * headDim, 2, F32_BYTES * group * sHead, 5, vHead];
      return { countAt: 11, steps: perKvHead, grain: 1, unitNs: nTokens * group * headDim * n * PRODUCT_NS.f32 };
    },
    attendScoresF32Wide: attendScores,
    linearF32Wide: (_y, yStride, _x, xStride, _n, nIn, _w, nRows) => ({
      countAt: 4,
      steps: [0, F32_BYTES * yStride, 2, F32_BYTES * xStride],
      grain: TILE_TOKENS,
      unitNs: nIn * nRows * PRODUCT_NS.wide,
    }),
    attendSumsF32: null, // as much as is read once more of what was just written
    attendF32(_y, ys, _q, qs, _r, _nr, _l, _st, _si, nTokens, _first, nHeads, group, headDim, sStride) {
      // A score costs headDim products, its exponential, and headDim products again.
      const scoreNs = 2 * headDim * PRODUCT_NS.f32 + EXP_NS;
      const scratch = { at: 17, nBytes: attendScratchBytes(nTokens, nHeads, group, sStride) };
      if (nTokens >= MANY_TOKENS) {
        const perToken = [0, F32_BYTES * ys, 2, F32_BYTES * qs, 6, F32_BYTES, 7, F32_BYTES];
        return { countAt: 9, steps: perToken, scratch, grain: TOKENS, unitNs: nHeads * sStride * scoreNs };
      }
      // Any heads: two threads share three kv heads of three heads each as five heads and four.
      return { countAt: 11, steps: [10, 1], scratch, grain: 1, unitNs: nTokens * sStride * scoreNs };
    },
    quantizeRowsQ8: quantize(BLOCK_SIZE),
    quantizeRowsQ8Super: quantize(SUPER_BLOCK_SIZE),
    rmsNormQ8: (_y, _q, _x, _g, n, dim, _eps, blockSize) => codedNorm([0, 2], 1, 4, n, dim, blockSize),
    layerNormQ8: (_y, _q, _x, _g, _b, n, dim, _eps, blockSize) => codedNorm([0, 2], 1, 5, n, dim, blockSize),
    residualNormQ8: (_sum, _norm, _q, _a, _b, _g, n, dim, _eps, blockSize) =>
      codedNorm([0, 1, 3, 4], 2, 6, n, dim, blockSize),
  };
}

type FormatSplits = { readonly [K in keyof FormatKernels]: SplitOf<NonNullable<FormatKernels[K]>> | null };

/** The kernels of any format: nothing of this depends on what is in a panel. */
export function formatSplits(dtype: DType): FormatSplits {
  const rows = panelRows(dtype);
  return {
    repack: null, // while a model is loaded; it waits for the file
    embed: (_y, _ids, _n, _w, nIn) => ({
      countAt: 2,
      steps: [0, F32_BYTES * nIn, 1, F32_BYTES],
      grain: 1,
      unitNs: nIn * MOVE_NS,
    }),
    f32: (_y, _ys, _x, _xs, nTokens, nIn) => ({
      countAt: 9,
      steps: [8, 1],
      scratch: { at: 10, nBytes: linearScratchBytes(dtype, nIn) },
      grain: PANELS.f32,
      unitNs: nTokens * nIn * rows * PRODUCT_NS.f32,
    }),
    q8: (_y, _ys, _q, nTokens, nIn) => ({
      countAt: 8,
      steps: [7, 1],
      scratch: { at: 9, nBytes: linearScratchBytes(dtype, nIn) },
      grain: PANELS.q8,
      unitNs: nTokens * nIn * rows * PRODUCT_NS.q8,
    }),
  };
}
