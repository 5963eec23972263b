import type { DType } from '../../core/dtype.ts';
import { KernelError } from '../../core/errors.ts';
import type { KvPack, KvUnpack, KvWrite, RopeWrite } from './kv_kernels.ts';
import type { NormKernels } from './norm_kernels.ts';

/** All kernels that are loaded: those of every model, and those of the weight formats that this one has. */
export interface Kernels extends CoreKernels {
  /** Asserts that the format's module was asked for. */
  format(dtype: DType): FormatKernels;
}

/**
 * The kernels that know no weight format, as TypeScript sees them: one entry for each export of `kernels/modules/core.ts`,
 * checked when the module is loaded.
 *
 * Addresses are byte addresses in the shared memory (multiples of 4; 16 is faster); counts and strides are in elements
 * unless they say bytes. A stride is the distance between the rows of consecutive tokens. Kernels allocate nothing and
 * check nothing: the caller has checked shapes when its plan was built. Except where a comment says so, outputs do not
 * overlap inputs.
 */
export interface CoreKernels extends NormKernels {
  /** First byte after the module's own constants; memory below it belongs to the module. */
  heapBase(): number;

  // ---- elementwise; y may be one of the inputs

  /** y[i] = a[i] + b[i], i < n. */
  addF32(y: number, a: number, b: number, n: number): void;
  /** y[i] = a[i] * b[i], i < n. */
  mulF32(y: number, a: number, b: number, n: number): void;
  /** y[i] = x[i] / (1 + exp(-x[i])), i < n. */
  siluF32(y: number, x: number, n: number): void;
  /** y[i] = x[i] / (1 + exp(-x[i])) with a shorter exp, i < n. */
  siluFastF32(y: number, x: number, n: number): void;
  /** y[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2))), i < n. */
  geluF32(y: number, x: number, n: number): void;
  /** y[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 x[i]^3))), i < n. */
  geluTanhF32(y: number, x: number, n: number): void;
  /** y[i] = x[i] / (1 + exp(-1.702 x[i])); y may be x. */
  quickGeluF32(y: number, x: number, n: number): void;
  /** y[i] = max(x[i], 0); y may be x. */
  reluF32(y: number, x: number, n: number): void;
  /** y[h, t, s] = x[h, t, s] + b[h, D + clamp(s - positions[t])] where row t sees s; y may be x. b: f32 [nHeads, 2 D + 1]. */
  positionBiasF32(
    y: number,
    x: number,
    b: number,
    positions: number,
    lengths: number,
    starts: number,
    sinks: number,
    nHeads: number,
    headStride: number,
    nTokens: number,
    stride: number,
    maxDistance: number,
  ): void;
  /** y[i] = tanh(x[i]); y may be x. */
  tanhF32(y: number, x: number, n: number): void;
  /** y[i] = 1 / (1 + exp(-x[i])), i < n. */
  sigmoidF32(y: number, x: number, n: number): void;
  /** y[i] = cap * tanh(x[i] / cap), i < n. */
  softCapF32(y: number, x: number, n: number, cap: number): void;
  /** y[i] = x[i] * by, i < n. */
  scaleF32(y: number, x: number, n: number, by: number): void;
  /** y = silu(gate) * up: see Gated. */
  readonly swigluF32: Gated;
  readonly swigluFastF32: Gated;
  /** y = gelu(gate) * up: see Gated. */
  readonly gegluF32: Gated;
  /** y = gelu_tanh(gate) * up: see Gated. */
  readonly gegluTanhF32: Gated;

  // ---- by row

  /** y[t, i] = x[t, i] + b[i].  x, y: [nTokens, n], dense; may be the same.  b: [n]. */
  addBiasF32(y: number, x: number, b: number, nTokens: number, n: number): void;
  /**
   * x, p: [nHeads, nTokens, stride], headStride from one head to the next; may be the same.
   * lengths, starts: i32 [nTokens], and sinks: what row t sees, as src/ops/visible.ts draws it. The rest of a row may hold
   * anything, and is not written.
   */
  softmaxF32(
    p: number,
    x: number,
    lengths: number,
    starts: number,
    sinks: number,
    nHeads: number,
    headStride: number,
    nTokens: number,
    stride: number,
  ): void;
  /** Turns pairs (2i, 2i+1): see RopeF32. */
  readonly ropeF32Pairs: RopeF32;
  /** Turns pairs (i, i + ropeDim/2): see RopeF32. */
  readonly ropeF32Halves: RopeF32;

  // ---- moving rows

  /** y[r] = x[rows[r]].  x: [*, dim], y: [nRows, dim], both dense f32.  rows: i32 [nRows]. */
  takeRowsF32(y: number, x: number, rows: number, nRows: number, dim: number): void;
  /** y[t, i] = x[t, i], i < width.  y: [nTokens, width], dense.  x: the first column taken, row stride xStride. */
  sliceF32(y: number, x: number, xStride: number, nTokens: number, width: number): void;

  /** y[row] = a[row], then b[row], row < nRows; all dense. */
  concatF32(y: number, a: number, aWidth: number, b: number, bWidth: number, nRows: number): void;

  // ---- experts

  /** y[t, i] = sum_j w[t, j] * x[t, j, i].  x: [nTokens, nChosen, dim], w: [nTokens, nChosen], y: [nTokens, dim], dense. */
  expertSumF32(y: number, x: number, w: number, nTokens: number, nChosen: number, dim: number): void;

  // ---- attention; src/kvcache/layout.ts draws how K and V lie. Any range of kv heads, tokens or positions is a call of its
  // own: addresses move to its first one, strides stay.

  /** Writes rows of keys or of values: see KvWrite. */
  readonly kvWriteKF32: KvWrite;
  readonly kvWriteVF32: KvWrite;
  /** Turns keys on their way: see RopeWrite. */
  readonly ropeWriteKF32: RopeWrite;
  /** Writes rows of q8_0 codes: see KvPack. */
  readonly kvPackQ80: KvPack;
  readonly kvPackQ40: KvPack;
  /** Reads them: see KvUnpack. */
  readonly kvUnpackQ80: KvUnpack;
  readonly kvUnpackQ40: KvUnpack;
  /**
   * scores[h, t, from + s] = scale * sum_d q[t, h, d] * k[s, h / group, d], for the positions s < nPositions of one run.
   *
   * scores: [nKvHeads * group, nTokens, sStride], sHeadStride from one head to the next.
   * q: [nTokens, nKvHeads * group, headDim], row stride qStride.
   * k: the run's first block, kHeadStride in bytes.  lengths, starts: i32 [nTokens], and sinks, absolute: what row t sees
   * (src/ops/visible.ts). Scores are written of whole key blocks that some row sees, from keys that may hold anything.
   * from: a multiple of 16.  sStride: at least `from + nPositions` rounded up to 16.
   * cap: above 0: each score is cap * tanh(score / cap).  0: there is none.
   */
  attendScoresF32(
    scores: number,
    sStride: number,
    sHeadStride: number,
    q: number,
    qStride: number,
    k: number,
    kHeadStride: number,
    lengths: number,
    starts: number,
    sinks: number,
    nTokens: number,
    nKvHeads: number,
    group: number,
    headDim: number,
    from: number,
    nPositions: number,
    scale: number,
    cap: number,
  ): void;
  /** The same with sums in float64, which are scaled before they are rounded. */
  readonly attendScoresF32Wide: CoreKernels['attendScoresF32'];
  /**
   * y[t, h, d] += sum_s p[h, t, from + s] * v[s, h / group, d], over the s < nPositions that row t sees, s rising.
   *
   * y: [nTokens, nKvHeads * group, headDim], row stride yStride. accumulate = 0 starts from +0, 1 goes on from y (the next run).
   * p: [nKvHeads * group, nTokens, sStride], sHeadStride from one head to the next.  v: the run's first position, vHeadStride in
   * bytes.  lengths, starts, sinks: as above; what row t does not see is not read.
   */
  attendMixF32(
    y: number,
    yStride: number,
    p: number,
    sStride: number,
    sHeadStride: number,
    v: number,
    vHeadStride: number,
    lengths: number,
    starts: number,
    sinks: number,
    nTokens: number,
    nKvHeads: number,
    group: number,
    headDim: number,
    from: number,
    nPositions: number,
    accumulate: number,
  ): void;

  /**
   * sums[s] += p[h, t, s] over the heads of one kv head and the positions that row t sees: f32, t rising, then h.
   *
   * sums: [nPositions], of one stretch of the cache that begins with position `from`.  p: [group, nTokens, sStride], all positions from 0 on,
   * sHeadStride from one head to the next.  lengths, starts, sinks: as above.
   */
  attendSumsF32(
    sums: number,
    p: number,
    sStride: number,
    sHeadStride: number,
    lengths: number,
    starts: number,
    sinks: number,
    nTokens: number,
    group: number,
    from: number,
    nPositions: number,
  ): void;

  /**
   * The three one after the other: y = attend_mix(softmax(attend_scores(q, k)), v), for heads firstHead .. firstHead + nHeads - 1.
   *
   * y, q: [nTokens, all heads, headDim], row strides yStride and qStride; head h has the kv head h / group.
   * runs: nRuns stretches of the cache by rising rows, RUN_WORDS words each (layout.ts).  lengths, starts, sinks: as above.
   * sStride, cap: as for attendScoresF32.  scratch: `attendScratchBytes(nTokens, nHeads, group, sStride)`, of this call alone.
   */
  attendF32(
    y: number,
    yStride: number,
    q: number,
    qStride: number,
    runs: number,
    nRuns: number,
    lengths: number,
    starts: number,
    sinks: number,
    nTokens: number,
    firstHead: number,
    nHeads: number,
    group: number,
    headDim: number,
    sStride: number,
    scale: number,
    cap: number,
    scratch: number,
  ): void;

  /**
   * y[t, o] = sum_k x[t, k] * w[o, k] in float64, rounded once, o < nRows.
   * x: f32 [nTokens, nIn], row stride xStride.  y: f32, row stride yStride.  w: f32 [nRows, nIn], dense rows.
   */
  linearF32Wide(
    y: number,
    yStride: number,
    x: number,
    xStride: number,
    nTokens: number,
    nIn: number,
    w: number,
    nRows: number,
  ): void;

  // ---- activations q8

  /** q: `quantizedRowsBytes(build, nTokens, nIn)`, in the build's own layout.  x: f32 [nTokens, nIn], row stride xStride. */
  quantizeRowsQ8(q: number, x: number, xStride: number, nTokens: number, nIn: number): void;
  /** The same in blocks of 256, for super-block formats: `quantizedRowsBytes(build, nTokens, nIn, 256)`. */
  quantizeRowsQ8Super(q: number, x: number, xStride: number, nTokens: number, nIn: number): void;
}

/**
 * y[t, i] = act(gate[t, i]) * up[t, i], i < width.
 *
 * gate, up, y: [nTokens, width] with a row stride each: gate and up may be halves of longer rows. y may be gate or up where the
 * strides are equal.
 */
export type Gated = (
  y: number,
  yStride: number,
  gate: number,
  gateStride: number,
  up: number,
  upStride: number,
  nTokens: number,
  width: number,
) => void;

/**
 * y[t, h, :] = x[t, h, :] turned by the angles of positions[t]; elements from ropeDim on are copied.
 *
 * x, y: [nTokens, nHeads, headDim], row strides xStride and yStride; may be the same.  positions: i32 [nTokens].
 * cos, sin: [*, ropeDim / 2].
 */
export type RopeF32 = (
  y: number,
  yStride: number,
  x: number,
  xStride: number,
  positions: number,
  cos: number,
  sin: number,
  nTokens: number,
  nHeads: number,
  headDim: number,
  ropeDim: number,
) => void;

/**
 * y[t, o] = sum_k x[t, k] * w[o, k] for the rows o of panels firstPanel .. firstPanel + nPanels - 1 (and o < nOut).
 *
 * x: f32 [nTokens, nIn], row stride xStride.  y: f32 [nTokens, nOut], row stride yStride; only the named rows are written.
 * w: the packed matrix (its panel 0).  scratch: `linearScratchBytes(dtype, nIn)`, of this call alone.
 */
export type Linear = (
  y: number,
  yStride: number,
  x: number,
  xStride: number,
  nTokens: number,
  nIn: number,
  w: number,
  nOut: number,
  firstPanel: number,
  nPanels: number,
  scratch: number,
) => void;

/** The same product from activations that `quantizeRowsQ8` (or, where blocks are of 256, `quantizeRowsQ8Super`) wrote at q, for the same nTokens and nIn; the same scratch. */
export type LinearQ8 = (
  y: number,
  yStride: number,
  q: number,
  nTokens: number,
  nIn: number,
  w: number,
  nOut: number,
  firstPanel: number,
  nPanels: number,
  scratch: number,
) => void;

/**
 * Packs nRows rows of file bytes at src (dense, any alignment) into whole panels at dst. Rows missing in the last panel
 * become zeros, so only a matrix's last call may have an nRows that is not whole panels.
 * Gives 1 when every weight (every scale) is finite, 0 when one is not.
 */
export type Repack = (dst: number, src: number, nRows: number, nIn: number) => number;

/** y[t, :] = row ids[t] of the packed matrix w, unpacked exactly.  ids: i32 [nTokens].  y: f32 [nTokens, nIn], dense. */
export type Embed = (y: number, ids: number, nTokens: number, w: number, nIn: number) => void;

/**
 * The form in which the relaxed build sums products of bytes (kernels/blocks/dot_forms.ts). Both are exact; which is faster depends on
 * the processor: `quads` is one instruction where it has AVX-VNNI or Arm's dot product, and five where it has not, while
 * `pairs` is two everywhere. WASM cannot be asked for the processor, so both are run when a format's kernels are loaded: dot_form.ts.
 */
export type DotForm = 'pairs' | 'quads';

/** The kernels that know one weight format. q8: undefined where weights have no integer codes. */
export interface FormatKernels {
  readonly repack: Repack;
  readonly embed: Embed;
  readonly f32: Linear;
  readonly q8: LinearQ8 | undefined;
}

/** Parameters of each kernel: a module from another version of the sources does not have the same. */
const ARITY: Readonly<Record<keyof CoreKernels, number>> = {
  heapBase: 0,
  addF32: 4,
  mulF32: 4,
  siluF32: 3,
  siluFastF32: 3,
  geluF32: 3,
  geluTanhF32: 3,
  quickGeluF32: 3,
  reluF32: 3,
  positionBiasF32: 12,
  tanhF32: 3,
  sigmoidF32: 3,
  softCapF32: 4,
  scaleF32: 4,
  swigluF32: 8,
  swigluFastF32: 8,
  gegluF32: 8,
  gegluTanhF32: 8,
  rmsNormF32: 6,
  residualNormF32: 8,
  layerNormF32: 7,
  addBiasF32: 5,
  softmaxF32: 9,
  ropeF32Pairs: 11,
  ropeF32Halves: 11,
  takeRowsF32: 5,
  sliceF32: 5,
  concatF32: 6,
  expertSumF32: 6,
  kvWriteKF32: 8,
  kvWriteVF32: 8,
  ropeWriteKF32: 13,
  kvPackQ80: 9,
  kvPackQ40: 9,
  kvUnpackQ80: 8,
  kvUnpackQ40: 8,
  attendScoresF32: 18,
  attendScoresF32Wide: 18,
  attendMixF32: 17,
  attendSumsF32: 11,
  attendF32: 18,
  linearF32Wide: 8,
  quantizeRowsQ8: 5,
  quantizeRowsQ8Super: 5,
  rmsNormQ8: 8,
  layerNormQ8: 9,
  residualNormQ8: 10,
};

/**
 * The exports of the core module as a typed table.
 * Throws KernelError naming the first kernel that is missing or has another number of parameters.
 */
export function coreKernels(exports: WebAssembly.Exports, moduleName: string): CoreKernels {
  for (const [name, arity] of Object.entries(ARITY)) checkedExport(exports, moduleName, name, arity);
  return exports as unknown as CoreKernels;
}

/** One export. Throws KernelError when it is missing or has another number of parameters. */
export function checkedExport(exports: WebAssembly.Exports, moduleName: string, name: string, arity: number): unknown {
  const kernel = exports[name];
  if (typeof kernel !== 'function') {
    throw new KernelError(`${moduleName} has no kernel ${name}; rebuild it with "npm run kernels"`);
  }
  if (kernel.length !== arity) {
    throw new KernelError(
      `${moduleName}: kernel ${name} takes ${kernel.length} parameters, expected ${arity}; rebuild it with "npm run kernels"`,
    );
  }
  return kernel;
}
