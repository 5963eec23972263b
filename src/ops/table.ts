import { DTYPES, type DType } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { type Dim, equalShapes, type SymbolicShape, showShape } from '../core/shape.ts';
import { checkChoice, type ExpertGroups } from './choose_experts.ts';
import type { Activations, Summed } from './linear.ts';
import type { LinearKernel } from './linear_kernel.ts';
import type { RopeLayout } from './rope.ts';

/**
 * The closed list of ops, with what each one carries besides its inputs.
 *
 *   op             inputs                        gives
 *   input          -                             a feed: ids [T], positions [T], types [T], outRows [R]
 *   weight         -                             a stored tensor, [out, in], [n], or of experts (heads) [nExperts, out, in]
 *   concat_weights w, w, ...                     their rows one after the other, [sum of out, in]
 *   patches        -                             a feed: one piece of a picture for each row, [T, width]
 *   embed          a feed [T], table             [T, dim]
 *   rms_norm       x, g                          as x
 *   layer_norm     x, g, b                       as x
 *   linear         x, w                          [T, out]
 *   add_bias       x, b                          as x
 *   slice          x [T, n] or [T, nHeads, n]    columns from .. from+width of x
 *   reshape        x                             the same elements, other axes
 *   rope           x [T, nHeads, headDim], pos   as x
 *   kv_write_k     k [T, nKvHeads, headDim]      all keys of the layer, [S, nKvHeads, headDim]
 *   kv_write_v     v [T, nKvHeads, headDim]      all values of the layer, [S, nKvHeads, headDim]
 *   rope_write_k   k, positions                  as kv_write_k of rope(k, positions)
 *   attend_scores  q, keys, positions            [nHeads, T, S]
 *   position_bias  scores, positions, b          as scores: plus a number of its head for the distance from row to position
 *   softmax        scores, positions             as scores
 *   attend_mix     probs, values, positions      [T, nHeads, headDim]
 *   attend         q, keys, values, positions    [T, nHeads, headDim]: the three above as one
 *   add, mul       a, b                          as a
 *   residual_norm  a, b, g                       [T, 2 * dim]: rows of a + b, rows of their rms_norm behind them; slices read one or the other
 *   silu, gelu     x                             as x
 *   gelu_tanh      x                             as x: gelu with the tanh that approximates erf, as GPT-2 and Gemma have it
 *   quick_gelu     x                             as x: x times a sigmoid of 1.702 x, as CLIP has it
 *   relu           x                             as x: 0 where it is below
 *   tanh           x                             as x
 *   soft_cap       x                             as x: cap * tanh(x / cap)
 *   scale          x                             as x: times one number
 *   silu_fast      x                             as x: silu with an exponential of fewer digits
 *   swiglu, geglu  gate, up                      as gate: silu (gelu) of it, times up
 *   geglu_tanh     gate, up                      as gate: gelu_tanh of it, times up
 *   swiglu_fast    gate, up                      as gate: silu_fast of it, times up
 *   concat         a [..., n], b [..., m]        [..., n + m]: rows of a, rows of b behind them
 *   head_linear    x [T, nHeads, in], w           [T, nHeads, out]: each head by its own matrix
 *   sigmoid        x                             as x
 *   softmax_rows   x [T, n]                      as x: each row a softmax of its own
 *   choose_experts scores [T, nExperts]          [T, nChosen]: the numbers of the best of each row
 *   expert_weights scores, experts               [T, nChosen]: the scores of those chosen, as they are or over their sum
 *   expert_linear  x, w, experts                 [T, nChosen * out]: x by the matrix of each chosen expert
 *   expert_sum     x [T, nChosen * dim], weights [T, dim]: what the experts gave, weighted
 *   take_rows      x [T, n], rows [R]            [R, n]
 *
 * Row t of an attention op sees the cached positions 0 .. positions[t], or all of them: the batch says which. Of these, an op with
 * a window shows it the ones that are less than `window` positions from its own.
 */
export interface OpAttributes {
  input: { readonly feed: 'ids' | 'positions' | 'types' | 'outRows' };
  weight: { readonly dtype: DType };
  concat_weights: { readonly dtype: DType };
  patches: { readonly width: number };
  embed: object;
  rms_norm: Normed;
  layer_norm: Normed;
  /** kernel: what multiplies it in the wasm tier, where a pass has written it down; it follows from the rest. */
  linear: Summed & { readonly activations: Activations; readonly kernel?: LinearKernel };
  add_bias: object;
  slice: { readonly from: number; readonly width: number };
  reshape: { readonly to: SymbolicShape };
  /** table: index into the graph's list of rope specs. */
  rope: { readonly layout: RopeLayout; readonly table: number };
  kv_write_k: { readonly layer: number };
  kv_write_v: { readonly layer: number };
  /** The attributes of the two ops that it is. */
  rope_write_k: OpAttributes['rope'] & OpAttributes['kv_write_k'];
  attend_scores: Windowed & Scored & Summed;
  /** maxDistance: positions further away have the number of that distance. */
  position_bias: Windowed & { readonly maxDistance: number };
  softmax: Windowed;
  attend_mix: Windowed;
  attend: Windowed & Scored;
  add: object;
  residual_norm: Normed;
  mul: object;
  silu: object;
  silu_fast: object;
  gelu: object;
  gelu_tanh: object;
  quick_gelu: object;
  relu: object;
  tanh: object;
  soft_cap: { readonly cap: number };
  scale: { readonly by: number };
  swiglu: object;
  swiglu_fast: object;
  geglu: object;
  geglu_tanh: object;
  concat: object;
  head_linear: Summed & { readonly activations: Activations };
  sigmoid: object;
  softmax_rows: object;
  choose_experts: { readonly nChosen: number; readonly groups?: ExpertGroups };
  expert_weights: { readonly isNormalized: boolean; readonly scale: number };
  expert_linear: Summed & { readonly activations: Activations };
  expert_sum: object;
  take_rows: object;
}

/** How far a row sees: its own position and the window - 1 before it (and behind it, where it may look there). None: all. */
export interface Windowed {
  readonly window?: number;
  /** 'source': the rows that a segment names so, all of them, and no others (cross attention). Left out: the rows behind those. */
  readonly sees?: 'source';
}

/**
 * codes: the products that read the norm round it to int8 blocks of this size, and the wasm tier does it once, when it makes the rows.
 * It changes no value: such products round their input by themselves.
 */
export interface Normed {
  readonly eps: number;
  readonly codes?: 32 | 256;
}

/** scale: of the products. cap: what soft_cap then holds the scores under; none: they stay as they are. */
export interface Scored {
  readonly scale: number;
  readonly cap?: number;
}

export type OpName = keyof OpAttributes;

/**
 * What an input may be: a feed, a weight, all cached rows of a layer, a score matrix per sequence, the experts that rows have
 * chosen, or an ordinary tensor. The shapes alone would let attention mix keys, or a sum read token ids.
 */
export type InputRole =
  | 'ids'
  | 'positions'
  | 'types'
  | 'outRows'
  | 'weight'
  | 'keys'
  | 'values'
  | 'scores'
  | 'experts'
  | 'tensor';

/** The inputs of every op, in order; a list: any of these. `concat_weights` takes any number above 0. */
export const INPUTS: Readonly<Record<OpName, readonly (InputRole | readonly InputRole[])[]>> = {
  input: [],
  weight: [],
  concat_weights: ['weight'],
  patches: [],
  embed: [['ids', 'positions', 'types'], 'weight'],
  rms_norm: ['tensor', 'weight'],
  layer_norm: ['tensor', 'weight', 'weight'],
  linear: ['tensor', 'weight'],
  add_bias: ['tensor', 'weight'],
  slice: ['tensor'],
  reshape: ['tensor'],
  rope: ['tensor', 'positions'],
  kv_write_k: ['tensor'],
  kv_write_v: ['tensor'],
  rope_write_k: ['tensor', 'positions'],
  attend_scores: ['tensor', 'keys', 'positions'],
  position_bias: ['scores', 'positions', 'weight'],
  softmax: ['scores', 'positions'],
  attend_mix: ['scores', 'values', 'positions'],
  attend: ['tensor', 'keys', 'values', 'positions'],
  add: ['tensor', 'tensor'],
  residual_norm: ['tensor', 'tensor', 'weight'],
  mul: ['tensor', 'tensor'],
  silu: ['tensor'],
  silu_fast: ['tensor'],
  gelu: ['tensor'],
  gelu_tanh: ['tensor'],
  quick_gelu: ['tensor'],
  relu: ['tensor'],
  tanh: ['tensor'],
  soft_cap: ['tensor'],
  scale: ['tensor'],
  swiglu: ['tensor', 'tensor'],
  swiglu_fast: ['tensor', 'tensor'],
  geglu: ['tensor', 'tensor'],
  geglu_tanh: ['tensor', 'tensor'],
  concat: ['tensor', 'tensor'],
  head_linear: ['tensor', 'weight'],
  sigmoid: ['tensor'],
  softmax_rows: ['tensor'],
  choose_experts: ['tensor'],
  expert_weights: ['tensor', 'experts'],
  expert_linear: ['tensor', 'weight', 'experts'],
  expert_sum: ['tensor', 'tensor'],
  take_rows: ['tensor', 'outRows'],
};

/** What the value of `op` is to its readers. */
export function roleOf(op: Op): InputRole {
  switch (op.op) {
    case 'input':
      return op.feed;
    case 'weight':
    case 'concat_weights':
      return 'weight';
    case 'kv_write_k':
    case 'rope_write_k':
      return 'keys';
    case 'kv_write_v':
      return 'values';
    case 'attend_scores':
    case 'position_bias':
    case 'softmax':
      return 'scores';
    case 'choose_experts':
      return 'experts';
    case 'patches':
    case 'embed':
    case 'rms_norm':
    case 'layer_norm':
    case 'linear':
    case 'add_bias':
    case 'slice':
    case 'reshape':
    case 'rope':
    case 'attend_mix':
    case 'attend':
    case 'add':
    case 'residual_norm':
    case 'mul':
    case 'silu':
    case 'silu_fast':
    case 'gelu':
    case 'gelu_tanh':
    case 'quick_gelu':
    case 'relu':
    case 'tanh':
    case 'soft_cap':
    case 'scale':
    case 'swiglu':
    case 'swiglu_fast':
    case 'geglu':
    case 'geglu_tanh':
    case 'concat':
    case 'head_linear':
    case 'sigmoid':
    case 'softmax_rows':
    case 'expert_weights':
    case 'expert_linear':
    case 'expert_sum':
    case 'take_rows':
      return 'tensor';
    default:
      return op satisfies never;
  }
}

/** One op with its attributes: the part of a graph node that the shape rule reads. */
export type Op = { [K in OpName]: { readonly op: K } & OpAttributes[K] }[OpName];

/**
 * The shape rule of every op: what `op` gives when its inputs have these shapes. `weight` and `input` state their own shape
 * and have no rule. Throws ShapeError naming the op when the inputs do not fit.
 */
export function resultShape(op: Exclude<Op, { op: 'weight' }>, inputs: readonly SymbolicShape[]): SymbolicShape {
  checkNumberOfInputs(op.op, inputs.length);
  const need = (index: number, nAxes: number): SymbolicShape => {
    const shape = inputs[index]!;
    if (shape.length !== nAxes) {
      throw new ShapeError(`${op.op}: input ${index} is ${showShape(shape)}, needs ${nAxes} axes`);
    }
    return shape;
  };
  const same = (what: string, a: Dim, b: Dim): void => {
    if (a !== b) throw new ShapeError(`${op.op}: ${what} is ${a} on one side and ${b} on the other`);
  };
  switch (op.op) {
    case 'input':
      return [op.feed === 'outRows' ? 'R' : 'T'];
    case 'concat_weights': {
      let nOut = 0;
      for (let i = 0; i < inputs.length; i++) {
        same('inner size', need(i, 2)[1]!, need(0, 2)[1]!);
        nOut += fixed(op.op, need(i, 2)[0]!);
      }
      return [nOut, need(0, 2)[1]!];
    }
    case 'patches':
      if (!Number.isInteger(op.width) || op.width < 1) throw new ShapeError(`patches: width ${op.width} is no size`);
      return ['T', op.width];
    case 'embed':
      return [need(0, 1)[0]!, need(1, 2)[1]!];
    case 'rms_norm': {
      const x = need(0, inputs[0]!.length === 3 ? 3 : 2);
      same('width', x.at(-1)!, need(1, 1)[0]!);
      return x;
    }
    case 'layer_norm':
      same('width', need(0, 2)[1]!, need(1, 1)[0]!);
      same('width', need(0, 2)[1]!, need(2, 1)[0]!);
      return need(0, 2);
    case 'add_bias':
      same('width', need(0, 2)[1]!, need(1, 1)[0]!);
      return need(0, 2);
    case 'linear':
      same('inner size', need(0, 2)[1]!, need(1, 2)[1]!);
      return [need(0, 2)[0]!, need(1, 2)[0]!];
    case 'slice': {
      const shape = inputs[0]!.length === 3 ? need(0, 3) : need(0, 2);
      const n = shape.at(-1)!;
      const isWhole = Number.isInteger(op.from) && Number.isInteger(op.width);
      if (!isWhole || op.from < 0 || op.width < 1 || op.from + op.width > fixed(op.op, n)) {
        throw new ShapeError(`slice: columns ${op.from}..${op.from + op.width} are outside width ${n}`);
      }
      return [...shape.slice(0, -1), op.width];
    }
    case 'reshape': {
      const from = inputs[0]!;
      if (!sameElements(from, op.to)) {
        throw new ShapeError(`reshape: ${showShape(from)} and ${showShape(op.to)} have different numbers of elements`);
      }
      return op.to;
    }
    case 'rope':
      same('number of rows', need(0, 3)[0]!, need(1, 1)[0]!);
      return need(0, 3);
    case 'kv_write_k':
    case 'kv_write_v':
      return ['S', need(0, 3)[1]!, need(0, 3)[2]!];
    case 'rope_write_k':
      same('number of rows', need(0, 3)[0]!, need(1, 1)[0]!);
      return ['S', need(0, 3)[1]!, need(0, 3)[2]!];
    case 'attend_scores':
      checkWindow(op.op, op.window);
      checkCap(op.op, op.cap);
      same('head size', need(0, 3)[2]!, need(1, 3)[2]!);
      same('number of rows', need(0, 3)[0]!, need(2, 1)[0]!);
      grouped(op.op, need(0, 3)[1]!, need(1, 3)[1]!);
      return [need(0, 3)[1]!, need(0, 3)[0]!, need(1, 3)[0]!];
    case 'position_bias': {
      checkWindow(op.op, op.window);
      same('number of rows', need(0, 3)[1]!, need(1, 1)[0]!);
      const { maxDistance } = op;
      if (!(Number.isInteger(maxDistance) && maxDistance >= 1)) {
        throw new ShapeError(`position_bias: maxDistance is ${maxDistance}, must be an integer of 1 or more`);
      }
      same('numbers of the table', need(2, 1)[0]!, fixed(op.op, need(0, 3)[0]!) * (2 * maxDistance + 1));
      return need(0, 3);
    }
    case 'softmax':
      checkWindow(op.op, op.window);
      same('number of rows', need(0, 3)[1]!, need(1, 1)[0]!);
      return need(0, 3);
    case 'attend_mix':
      checkWindow(op.op, op.window);
      same('number of positions', need(0, 3)[2]!, need(1, 3)[0]!);
      same('number of rows', need(0, 3)[1]!, need(2, 1)[0]!);
      grouped(op.op, need(0, 3)[0]!, need(1, 3)[1]!);
      return [need(0, 3)[1]!, need(0, 3)[0]!, need(1, 3)[2]!];
    case 'attend':
      checkWindow(op.op, op.window);
      checkCap(op.op, op.cap);
      for (const rows of [1, 2]) same('head size', need(0, 3)[2]!, need(rows, 3)[2]!);
      same('number of positions', need(1, 3)[0]!, need(2, 3)[0]!);
      same('number of kv heads', need(1, 3)[1]!, need(2, 3)[1]!);
      same('number of rows', need(0, 3)[0]!, need(3, 1)[0]!);
      grouped(op.op, need(0, 3)[1]!, need(1, 3)[1]!);
      return need(0, 3);
    case 'add':
    case 'mul':
    case 'swiglu':
    case 'swiglu_fast':
    case 'geglu':
    case 'geglu_tanh':
      if (!equalShapes(inputs[0]!, inputs[1]!)) {
        throw new ShapeError(`${op.op}: shapes ${showShape(inputs[0]!)} and ${showShape(inputs[1]!)} differ`);
      }
      return inputs[0]!;
    case 'residual_norm': {
      const [rows, dim] = need(0, 2) as [Dim, Dim];
      same('number of rows', rows, need(1, 2)[0]!);
      same('width', dim, need(1, 2)[1]!);
      same('width', dim, need(2, 1)[0]!);
      return [rows, 2 * fixed(op.op, dim)];
    }
    case 'silu':
    case 'silu_fast':
    case 'gelu':
    case 'gelu_tanh':
    case 'quick_gelu':
    case 'relu':
    case 'tanh':
    case 'sigmoid':
    case 'scale':
      return inputs[0]!;
    case 'soft_cap':
      checkCap(op.op, op.cap);
      return inputs[0]!;
    case 'concat': {
      const shape = inputs[0]!.length === 3 ? need(0, 3) : need(0, 2);
      const other = need(1, shape.length);
      shape.slice(0, -1).forEach((size, axis) => {
        same(`axis ${axis}`, size, other[axis]!);
      });
      return [...shape.slice(0, -1), fixed(op.op, shape.at(-1)!) + fixed(op.op, other.at(-1)!)];
    }
    case 'head_linear':
      same('number of heads', need(0, 3)[1]!, need(1, 3)[0]!);
      same('inner size', need(0, 3)[2]!, need(1, 3)[2]!);
      return [need(0, 3)[0]!, need(0, 3)[1]!, need(1, 3)[1]!];
    case 'softmax_rows':
      return need(0, 2);
    case 'choose_experts':
      checkChoice(fixed(op.op, need(0, 2)[1]!), op.nChosen, op.groups);
      return [need(0, 2)[0]!, op.nChosen];
    case 'expert_weights':
      same('number of rows', need(0, 2)[0]!, need(1, 2)[0]!);
      return need(1, 2);
    case 'expert_linear': {
      const [rows, width] = need(0, 2) as [Dim, Dim];
      const [, nOut, nIn] = need(1, 3).map((size) => fixed(op.op, size)) as [number, number, number];
      const nChosen = fixed(op.op, need(2, 2)[1]!);
      same('number of rows', rows, need(2, 2)[0]!);
      if (width !== nIn) same('inner size', width, nChosen * nIn);
      return [rows, nChosen * nOut];
    }
    case 'expert_sum': {
      const [rows, width] = need(0, 2) as [Dim, Dim];
      const nChosen = fixed(op.op, need(1, 2)[1]!);
      same('number of rows', rows, need(1, 2)[0]!);
      same('width', width, nChosen * Math.floor(fixed(op.op, width) / nChosen));
      return [rows, fixed(op.op, width) / nChosen];
    }
    case 'take_rows':
      same('number of rows', need(0, 2)[0]!, 'T'); // rows are counted among the new tokens
      return [need(1, 1)[0]!, need(0, 2)[1]!];
    default:
      return op satisfies never;
  }
}

/** Throws ShapeError when a stored weight has an open or empty axis, or rows that are not whole blocks of its format. */
export function checkWeightShape(name: string, dtype: DType, shape: SymbolicShape): void {
  for (const size of shape) {
    if (!(Number.isInteger(fixed(name, size)) && fixed(name, size) > 0)) {
      throw new ShapeError(`${name}: size ${size} in ${showShape(shape)} is not a positive integer`);
    }
  }
  const inner = fixed(name, shape.at(-1) ?? 1);
  const { blockSize } = DTYPES[dtype];
  if (inner % blockSize !== 0) {
    throw new ShapeError(`${name}: rows of ${inner} are not a multiple of ${blockSize}, the block size of ${dtype}`);
  }
}

function checkNumberOfInputs(op: OpName, nInputs: number): void {
  if (op === 'concat_weights') {
    if (nInputs === 0) throw new ShapeError('concat_weights: has no input, takes at least 1');
  } else if (nInputs !== INPUTS[op].length) {
    throw new ShapeError(`${op}: has ${nInputs} inputs, takes ${INPUTS[op].length}`);
  }
}

function checkWindow(op: OpName, window: number | undefined): void {
  if (window !== undefined && !(Number.isInteger(window) && window >= 1)) {
    throw new ShapeError(`${op}: window is ${window}, must be an integer of 1 or more; leave it out where all is seen`);
  }
}

function checkCap(op: OpName, cap: number | undefined): void {
  if (cap !== undefined && !(cap > 0 && Number.isFinite(cap))) {
    throw new ShapeError(`${op}: cap is ${cap}, must be a positive number; leave it out where nothing is capped`);
  }
}

function fixed(op: string, size: Dim): number {
  if (typeof size !== 'number') throw new ShapeError(`${op}: size ${size} is open, it must be a number here`);
  return size;
}

function grouped(op: string, nHeads: Dim, nKvHeads: Dim): void {
  if (fixed(op, nHeads) % fixed(op, nKvHeads) !== 0) {
    throw new ShapeError(`${op}: nHeads ${nHeads} is not a multiple of nKvHeads ${nKvHeads}`);
  }
}

/** Equal products: the open sizes must be the same ones, and the numbers must multiply to the same count. */
function sameElements(a: SymbolicShape, b: SymbolicShape): boolean {
  const product = (s: SymbolicShape) => s.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1);
  const symbols = (s: SymbolicShape) => s.filter((d) => typeof d === 'string').join();
  return product(a) === product(b) && symbols(a) === symbols(b);
}
