import type { DType } from '../core/dtype.ts';
import { assert, ShapeError } from '../core/errors.ts';
import { equalShapes, type SymbolicShape, showShape } from '../core/shape.ts';
import type { ExpertGroups } from '../ops/choose_experts.ts';
import type { Activations } from '../ops/linear.ts';
import type { RopeLayout } from '../ops/rope.ts';
import type { RopeSpec } from '../ops/rope_table.ts';
import { checkWeightShape, type Op, resultShape, type Scored, type Windowed } from '../ops/table.ts';
import type { Graph, KvShape, Node, NodeOf, ValueId } from './ir.ts';

type Feed = NodeOf<'input'>['feed'];

/** Appends nodes one by one; every method returns the new value's id and throws ShapeError when its inputs do not fit. */
export interface GraphBuilder {
  /** The same feed asked for twice is one node. */
  input(feed: Feed): ValueId;
  /** The same tensor asked for twice is one node. Throws ShapeError when the two differ in format or shape. */
  weight(name: string, dtype: DType, shape: SymbolicShape): ValueId;
  /** The pieces of a picture, [T, width]; asked for once. */
  patches(width: number): ValueId;
  embed(name: string, ids: ValueId, table: ValueId): ValueId;
  rmsNorm(name: string, x: ValueId, g: ValueId, eps: number): ValueId;
  residualNorm(name: string, a: ValueId, b: ValueId, g: ValueId, eps: number): ValueId;
  layerNorm(name: string, x: ValueId, g: ValueId, b: ValueId, eps: number): ValueId;
  linear(name: string, x: ValueId, w: ValueId, activations: Activations): ValueId;
  concatWeights(name: string, dtype: DType, parts: readonly ValueId[]): ValueId;
  slice(name: string, x: ValueId, from: number, width: number): ValueId;
  addBias(name: string, x: ValueId, b: ValueId): ValueId;
  reshape(name: string, x: ValueId, to: SymbolicShape): ValueId;
  rope(name: string, x: ValueId, positions: ValueId, layout: RopeLayout, table: number): ValueId;
  kvWriteK(name: string, k: ValueId, layer: number): ValueId;
  kvWriteV(name: string, v: ValueId, layer: number): ValueId;
  attendScores(
    name: string,
    q: ValueId,
    keys: ValueId,
    positions: ValueId,
    scale: number,
    limits?: Windowed & Pick<Scored, 'cap'>,
  ): ValueId;
  positionBias(
    name: string,
    scores: ValueId,
    positions: ValueId,
    bias: ValueId,
    maxDistance: number,
    limits?: Windowed,
  ): ValueId;
  softmax(name: string, scores: ValueId, positions: ValueId, limits?: Windowed): ValueId;
  attendMix(name: string, probs: ValueId, values: ValueId, positions: ValueId, limits?: Windowed): ValueId;
  add(name: string, a: ValueId, b: ValueId): ValueId;
  mul(name: string, a: ValueId, b: ValueId): ValueId;
  silu(name: string, x: ValueId): ValueId;
  gelu(name: string, x: ValueId): ValueId;
  geluTanh(name: string, x: ValueId): ValueId;
  quickGelu(name: string, x: ValueId): ValueId;
  relu(name: string, x: ValueId): ValueId;
  tanh(name: string, x: ValueId): ValueId;
  concat(name: string, a: ValueId, b: ValueId): ValueId;
  headLinear(name: string, x: ValueId, w: ValueId, activations: Activations): ValueId;
  sigmoid(name: string, x: ValueId): ValueId;
  softmaxRows(name: string, x: ValueId): ValueId;
  chooseExperts(name: string, scores: ValueId, nChosen: number, groups?: ExpertGroups): ValueId;
  expertWeights(name: string, scores: ValueId, experts: ValueId, isNormalized: boolean, scale: number): ValueId;
  expertLinear(name: string, x: ValueId, w: ValueId, experts: ValueId, activations: Activations): ValueId;
  expertSum(name: string, x: ValueId, weights: ValueId): ValueId;
  softCap(name: string, x: ValueId, cap: number): ValueId;
  scale(name: string, x: ValueId, by: number): ValueId;
  takeRows(name: string, x: ValueId, rows: ValueId): ValueId;
  /** Size of a value's last axis. Throws ShapeError when it is open. */
  widthOf(x: ValueId): number;
  /** Registers a table of rope angles, gives its index. */
  ropeTable(spec: RopeSpec): number;
  finish(output: ValueId, kv: KvShape): Graph;
}

export function createBuilder(): GraphBuilder {
  const nodes: Node[] = [];
  const ropes: RopeSpec[] = [];
  const feeds = new Map<Feed, ValueId>();
  const weights = new Map<string, ValueId>();

  const at = (id: ValueId): Node => {
    const node = nodes[id];
    assert(node !== undefined, `value %${id} is one that this builder made`);
    return node;
  };
  const push = (op: Exclude<Op, { op: 'weight' }>, name: string, inputs: ValueId[]): ValueId => {
    const shape = resultShape(
      op,
      inputs.map((i) => at(i).shape),
    );
    return nodes.push({ ...op, name, inputs, shape } as Node) - 1;
  };

  return {
    input(feed) {
      const id = feeds.get(feed) ?? push({ op: 'input', feed }, feed, []);
      feeds.set(feed, id);
      return id;
    },
    weight(name, dtype, shape) {
      const known = weights.get(name);
      if (known !== undefined) {
        const before = nodes[known] as NodeOf<'weight'>;
        if (before.dtype !== dtype || !equalShapes(before.shape, shape)) {
          throw new ShapeError(
            `${name}: asked for as ${dtype} ${showShape(shape)}, and before as ${before.dtype} ${showShape(before.shape)}`,
          );
        }
        return known;
      }
      checkWeightShape(name, dtype, shape);
      const id = nodes.push({ op: 'weight', dtype, name, inputs: [], shape }) - 1;
      weights.set(name, id);
      return id;
    },
    patches: (width) => push({ op: 'patches', width }, 'patches', []),
    embed: (name, ids, table) => push({ op: 'embed' }, name, [ids, table]),
    rmsNorm: (name, x, g, eps) => push({ op: 'rms_norm', eps }, name, [x, g]),
    residualNorm: (name, a, other, g, eps) => push({ op: 'residual_norm', eps }, name, [a, other, g]),
    layerNorm: (name, x, g, b, eps) => push({ op: 'layer_norm', eps }, name, [x, g, b]),
    linear: (name, x, w, activations) => push({ op: 'linear', activations }, name, [x, w]),
    concatWeights: (name, dtype, parts) => push({ op: 'concat_weights', dtype }, name, [...parts]),
    slice: (name, x, from, width) => push({ op: 'slice', from, width }, name, [x]),
    addBias: (name, x, bias) => push({ op: 'add_bias' }, name, [x, bias]),
    reshape: (name, x, to) => push({ op: 'reshape', to }, name, [x]),
    rope: (name, x, positions, layout, table) => push({ op: 'rope', layout, table }, name, [x, positions]),
    kvWriteK: (name, k, layer) => push({ op: 'kv_write_k', layer }, name, [k]),
    kvWriteV: (name, v, layer) => push({ op: 'kv_write_v', layer }, name, [v]),
    attendScores: (name, q, keys, positions, scale, { window, cap, sees } = {}) =>
      push({ op: 'attend_scores', scale, ...given({ window, cap, sees }) }, name, [q, keys, positions]),
    positionBias: (name, scores, positions, bias, maxDistance, { window, sees } = {}) =>
      push({ op: 'position_bias', maxDistance, ...given({ window, sees }) }, name, [scores, positions, bias]),
    softmax: (name, scores, positions, { window, sees } = {}) =>
      push({ op: 'softmax', ...given({ window, sees }) }, name, [scores, positions]),
    attendMix: (name, probs, values, positions, { window, sees } = {}) =>
      push({ op: 'attend_mix', ...given({ window, sees }) }, name, [probs, values, positions]),
    add: (name, a, b) => push({ op: 'add' }, name, [a, b]),
    mul: (name, a, b) => push({ op: 'mul' }, name, [a, b]),
    silu: (name, x) => push({ op: 'silu' }, name, [x]),
    gelu: (name, x) => push({ op: 'gelu' }, name, [x]),
    geluTanh: (name, x) => push({ op: 'gelu_tanh' }, name, [x]),
    quickGelu: (name, x) => push({ op: 'quick_gelu' }, name, [x]),
    relu: (name, x) => push({ op: 'relu' }, name, [x]),
    tanh: (name, x) => push({ op: 'tanh' }, name, [x]),
    concat: (name, first, second) => push({ op: 'concat' }, name, [first, second]),
    headLinear: (name, x, w, activations) => push({ op: 'head_linear', activations }, name, [x, w]),
    sigmoid: (name, x) => push({ op: 'sigmoid' }, name, [x]),
    softmaxRows: (name, x) => push({ op: 'softmax_rows' }, name, [x]),
    chooseExperts: (name, scores, nChosen, groups) =>
      push({ op: 'choose_experts', nChosen, ...(groups && { groups }) }, name, [scores]),
    expertWeights: (name, scores, experts, isNormalized, scale) =>
      push({ op: 'expert_weights', isNormalized, scale }, name, [scores, experts]),
    expertLinear: (name, x, w, experts, activations) =>
      push({ op: 'expert_linear', activations }, name, [x, w, experts]),
    expertSum: (name, x, weights) => push({ op: 'expert_sum' }, name, [x, weights]),
    softCap: (name, x, cap) => push({ op: 'soft_cap', cap }, name, [x]),
    scale: (name, x, by) => push({ op: 'scale', by }, name, [x]),
    takeRows: (name, x, rows) => push({ op: 'take_rows' }, name, [x, rows]),
    widthOf(x) {
      const width = at(x).shape.at(-1);
      if (typeof width !== 'number') throw new ShapeError(`${at(x).name}: last axis ${width} is open`);
      return width;
    },
    ropeTable: (spec) => ropes.push(spec) - 1,
    finish: (output, kv) => ({ nodes, output, ropes, kv }),
  };
}

/** The attributes that have a value: a node has no others. */
export function given<A extends Windowed & Pick<Scored, 'cap'>>(attributes: A): A {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as A;
}
