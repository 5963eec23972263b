import { ALL_DTYPES, type DType } from '../core/dtype.ts';
import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { Dim, SymbolicShape } from '../core/shape.ts';
import type { ExpertGroups } from '../ops/choose_experts.ts';
import type { Summed } from '../ops/linear.ts';
import type { LinearKernel } from '../ops/linear_kernel.ts';
import type { RopeSpec } from '../ops/rope_table.ts';
import type { Normed, OpAttributes, OpName, Scored, Windowed } from '../ops/table.ts';
import type { Graph, KvShape, Node } from './ir.ts';
import { verify } from './verify.ts';

/**
 * A graph as JSON, and back:
 *
 *   { "format": "glassformer graph", "version": 1, "kv": {...}, "ropes": [...], "nodes": [...], "output": 148 }
 *
 * Nodes are those of ir.ts, field by field. Weights are named, not contained. A file is as untrusted as a model: what comes
 * back has the types of ir.ts, is verified, and is no larger than a model's graph can be.
 */
const FORMAT = 'glassformer graph';
const VERSION = 1;

/** The largest models have about 40 nodes in each of 130 layers. */
const MAX_NODES = 1 << 14;
const MAX_ROPES = 1 << 10;
/** Pairs of a head. */
const MAX_FREQUENCIES = 1 << 12;
const MAX_NAME = 1 << 12;
const MAX_SIZE = 2 ** 31 - 1;
/** Slices of slices and reshapes of reshapes: fold_constants leaves one of each. */
const MAX_VIEWS = 64;

/** The text of a graph's file. */
export function graphToJson(graph: Graph): string {
  const { kv, ropes, nodes, output } = graph;
  const lines = nodes.map((node) => `    ${JSON.stringify(node)}`);
  const head = [`"format": "${FORMAT}"`, `"version": ${VERSION}`, `"kv": ${JSON.stringify(kv)}`];
  const rest = [`"ropes": ${JSON.stringify(ropes)}`, `"output": ${output}`, `"nodes": [\n${lines.join(',\n')}\n  ]`];
  return `{\n${[...head, ...rest].map((field) => `  ${field}`).join(',\n')}\n}\n`;
}

/**
 * The graph of a file that holds `value`.
 * Throws UnsupportedError for another version, ConfigError naming the first field that is not what a graph has there.
 */
export function graphFromJson(value: unknown, file: string): Graph {
  const fail: Fail = (where, expected) => {
    throw new ConfigError(`${file}: ${where} is not ${expected}; write the file again with inspect --save-graph`);
  };
  const root = new Fields(value, 'the file', fail);
  if (root.take('format') !== FORMAT) fail('format', `"${FORMAT}": this is another kind of file`);
  const version = root.count('version', MAX_SIZE);
  if (version !== VERSION) {
    throw new UnsupportedError(`${file}: is version ${version} of the graph format, this program reads ${VERSION}`);
  }
  const kv = new Fields(root.take('kv'), 'kv', fail);
  const shape: KvShape = {
    nLayers: kv.count('nLayers', MAX_NODES),
    nKvHeads: kv.count('nKvHeads', MAX_SIZE),
    headDim: kv.count('headDim', MAX_SIZE),
  };
  kv.end();
  const ropes = root.list('ropes', MAX_ROPES).map((spec, i) => ropeFrom(new Fields(spec, `ropes[${i}]`, fail)));
  const nodes = root.list('nodes', MAX_NODES).map((node, i) => nodeFrom(new Fields(node, `nodes[${i}]`, fail), fail));
  const graph: Graph = { nodes, output: root.count('output', MAX_NODES), ropes, kv: shape };
  root.end();
  checkViews(graph, fail);
  try {
    verify(graph);
  } catch (error) {
    const reason = (error as Error).message.replace(/^broken promise: (.*) \(this is .*\)$/s, '$1');
    throw new ConfigError(`${file}: is no graph that can be run: ${reason}`);
  }
  return graph;
}

type Fail = (where: string, expected: string) => never;

/** The fields of one JSON object, each taken once. */
class Fields {
  private readonly left: Map<string, unknown>;
  private readonly where: string;
  private readonly fail: Fail;
  constructor(value: unknown, where: string, fail: Fail) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(where, 'an object');
    this.left = new Map(Object.entries(value as object));
    this.where = where;
    this.fail = fail;
  }
  has(key: string): boolean {
    return this.left.has(key);
  }
  take(key: string): unknown {
    const value = this.left.get(key);
    this.left.delete(key);
    return value;
  }
  count(key: string, most: number): number {
    const value = this.take(key);
    const isCount = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
    return isCount ? value : this.fail(`${this.where}.${key}`, `a whole number up to ${most}`);
  }
  number(key: string): number {
    const value = this.take(key);
    return typeof value === 'number' && Number.isFinite(value) ? value : this.fail(`${this.where}.${key}`, 'a number');
  }
  numbers(key: string, most: number): number[] {
    return this.list(key, most).map((value) => {
      const isNumber = typeof value === 'number' && Number.isFinite(value);
      return isNumber ? value : this.fail(`${this.where}.${key}`, 'a list of numbers');
    });
  }
  text(key: string): string {
    const value = this.take(key);
    const isText = typeof value === 'string' && value !== '' && value.length <= MAX_NAME;
    return isText ? value : this.fail(`${this.where}.${key}`, `a text of at most ${MAX_NAME} characters`);
  }
  object(key: string): Fields {
    return new Fields(this.take(key), `${this.where}.${key}`, this.fail);
  }
  oneOf<T extends string | number | boolean>(key: string, known: readonly T[]): T {
    const value = this.take(key);
    return known.find((k) => k === value) ?? this.fail(`${this.where}.${key}`, `one of ${known.join(', ')}`);
  }
  list(key: string, most: number): readonly unknown[] {
    const value = this.take(key);
    return Array.isArray(value) && value.length <= most
      ? value
      : this.fail(`${this.where}.${key}`, `a list of at most ${most}`);
  }
  shape(key: string): SymbolicShape {
    return this.list(key, 4).map((size) => {
      if (size === 'T' || size === 'S' || size === 'R') return size;
      const isSize = typeof size === 'number' && Number.isInteger(size) && size > 0 && size <= MAX_SIZE;
      return isSize ? (size as Dim) : this.fail(`${this.where}.${key}`, 'a shape of sizes, T, S and R');
    });
  }
  end(): void {
    const [extra] = this.left.keys();
    if (extra !== undefined) this.fail(`${this.where}.${extra}`, 'a field of a graph');
  }
}

function ropeFrom(fields: Fields): RopeSpec {
  const spec = { frequencies: fields.numbers('frequencies', MAX_FREQUENCIES), magnitude: fields.number('magnitude') };
  fields.end();
  return spec;
}

function nodeFrom(fields: Fields, fail: Fail): Node {
  const op = fields.oneOf('op', Object.keys(ATTRIBUTES) as OpName[]);
  const attributes = ATTRIBUTES[op](fields);
  const name = fields.text('name');
  const inputs = fields.list('inputs', MAX_NODES).map((i) => {
    return typeof i === 'number' && Number.isInteger(i) && i >= 0 ? i : fail(`an input of ${name}`, 'a whole number');
  });
  const shape = fields.shape('shape');
  fields.end();
  return { op, ...attributes, name, inputs, shape } as Node;
}

const dtype = (f: Fields): { dtype: DType } => ({ dtype: f.oneOf('dtype', ALL_DTYPES) });
const normed = (f: Fields): Normed => ({
  eps: f.number('eps'),
  ...(f.has('codes') && { codes: f.oneOf('codes', [32, 256] as const) }),
});
const layer = (f: Fields): { layer: number } => ({ layer: f.count('layer', MAX_NODES) });
const rope = (f: Fields): OpAttributes['rope'] => ({
  layout: f.oneOf('layout', ['pairs', 'halves']),
  table: f.count('table', MAX_ROPES),
});
const nothing = (): object => ({});
const windowed = (f: Fields): Windowed => ({
  ...(f.has('window') && { window: f.count('window', MAX_SIZE) }),
  ...(f.has('sees') && { sees: f.oneOf('sees', ['source'] as const) }),
});
const scored = (f: Fields): Windowed & Scored => ({
  scale: f.number('scale'),
  ...(f.has('cap') && { cap: f.number('cap') }),
  ...windowed(f),
});

const summed = (f: Fields): Summed => (f.has('sums') ? { sums: f.oneOf('sums', ['f64'] as const) } : {});

/** How the attributes of each op are read: their types are those of ops/table.ts. */
const ATTRIBUTES: { readonly [K in OpName]: (f: Fields) => OpAttributes[K] } = {
  input: (f) => ({ feed: f.oneOf('feed', ['ids', 'positions', 'types', 'outRows']) }),
  weight: dtype,
  concat_weights: dtype,
  patches: (f) => ({ width: f.count('width', MAX_SIZE) }),
  embed: nothing,
  rms_norm: normed,
  layer_norm: normed,
  residual_norm: normed,
  linear: (f) => ({
    activations: f.oneOf('activations', ['q8', 'f32']),
    ...summed(f),
    // verify holds it against the only one that fits.
    ...(f.has('kernel') && { kernel: f.text('kernel') as LinearKernel }),
  }),
  add_bias: nothing,
  slice: (f) => ({ from: f.count('from', MAX_SIZE), width: f.count('width', MAX_SIZE) }),
  reshape: (f) => ({ to: f.shape('to') }),
  rope,
  kv_write_k: layer,
  kv_write_v: layer,
  rope_write_k: (f) => ({ ...layer(f), ...rope(f) }),
  attend_scores: (f) => ({ ...scored(f), ...summed(f) }),
  attend: scored,
  position_bias: (f) => ({ maxDistance: f.count('maxDistance', MAX_SIZE), ...windowed(f) }),
  softmax: windowed,
  attend_mix: windowed,
  add: nothing,
  mul: nothing,
  silu: nothing,
  silu_fast: nothing,
  gelu: nothing,
  gelu_tanh: nothing,
  quick_gelu: nothing,
  relu: nothing,
  tanh: nothing,
  soft_cap: (f) => ({ cap: f.number('cap') }),
  scale: (f) => ({ by: f.number('by') }),
  swiglu: nothing,
  swiglu_fast: nothing,
  geglu: nothing,
  geglu_tanh: nothing,
  concat: nothing,
  head_linear: (f) => ({ activations: f.oneOf('activations', ['q8', 'f32']), ...summed(f) }),
  sigmoid: nothing,
  softmax_rows: nothing,
  choose_experts: (f) => ({
    nChosen: f.count('nChosen', MAX_SIZE),
    ...(f.has('groups') && { groups: groupsFrom(f) }),
  }),
  expert_weights: (f) => ({ isNormalized: f.oneOf('isNormalized', [true, false]), scale: f.number('scale') }),
  expert_linear: (f) => ({ activations: f.oneOf('activations', ['q8', 'f32']), ...summed(f) }),
  expert_sum: nothing,
  take_rows: nothing,
};

function groupsFrom(f: Fields): ExpertGroups {
  const fields = f.object('groups');
  const groups = {
    count: fields.count('count', MAX_SIZE),
    chosen: fields.count('chosen', MAX_SIZE),
    scoredBy: fields.count('scoredBy', MAX_SIZE),
  };
  fields.end();
  return groups;
}

/** What follows a chain of views step by step must not follow one of thousands. */
function checkViews({ nodes }: Graph, fail: Fail): void {
  const depth: number[] = [];
  nodes.forEach((node, id) => {
    const isView = node.op === 'reshape' || node.op === 'slice';
    depth[id] = isView ? 1 + (depth[node.inputs[0] ?? -1] ?? 0) : 0;
    if (depth[id] > MAX_VIEWS) fail(node.name, `one of at most ${MAX_VIEWS} slices and reshapes of each other`);
  });
}
