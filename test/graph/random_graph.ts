import fc from 'fast-check';
import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import type { Weight } from '../../src/core/tensor.ts';
import { createBuilder, type GraphBuilder } from '../../src/graph/build.ts';
import type { Graph, ValueId } from '../../src/graph/ir.ts';
import type { Activations } from '../../src/ops/linear.ts';
import type { RopeLayout } from '../../src/ops/rope.ts';
import { type RopeSpec, ropeFrequencies } from '../../src/ops/rope_table.ts';
import { takesQ8 } from '../../src/quant/codes.ts';
import { testRandom } from '../support/floats.ts';
import { fillWeights } from '../support/tiny_llama.ts';

/**
 * Random decoder-like graphs for the proofs of passes, small enough for the naive executor. Every layer has what passes look
 * for (three projections of one norm, gate and up, SwiGLU, residual and norm, rope and cache); `plants` adds what a model's
 * builder may leave behind, and look-alikes that a pass must leave alone. What is planted is said by the spec, so that a
 * failing case can be read.
 */
export interface GraphSpec {
  readonly seed: number;
  readonly layers: readonly LayerSpec[];
  /** dim and hiddenDim are whole blocks of all formats of the spec. */
  readonly sizes: Sizes;
  readonly vocab: number;
  readonly activations: Activations;
  readonly layout: RopeLayout;
  readonly ropes: RopePlan;
  readonly embeddingDType: DType;
  /** The output projection is the embedding. */
  readonly isTied: boolean;
  readonly head: Head;
}

interface Sizes {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly dim: number;
  readonly hiddenDim: number;
}

export interface LayerSpec {
  /** Formats of wq, wk, wv, and of gate and up: equal in most layers. */
  readonly attention: readonly [DType, DType, DType];
  readonly gateUp: readonly [DType, DType];
  readonly rest: DType;
  readonly plants: readonly Plant[];
}

/**
 * shared      one table for all layers
 * equal       each layer registers an equal one
 * different   each layer turns by its own angles
 * one unused  as shared, and a table that nothing reads
 * still       one whose frequencies are all 0: it turns nothing, and yet computes
 * no pairs    one that turns no elements at all
 * part        each layer turns half of each head, by its own angles (in turnedGraphs alone)
 */
type RopePlan = 'shared' | 'equal' | 'different' | 'one unused' | 'still' | 'no pairs' | 'part';

/**
 * plain        linear, then take_rows
 * silu         norm, silu, linear, then take_rows: a longer chain of rows
 * taken early  take_rows before the norm
 * read twice   the norm has another reader, live to the end: rows may not be taken before it
 * taken twice  the logits are taken twice from the same rows, and added
 */
type Head = 'plain' | 'silu' | 'taken early' | 'read twice' | 'taken twice';

/**
 * To be found:
 *   dead, dead chain   one node, or several, that nothing reads
 *   twin norm          `up` reads a second copy of the norm that `gate` reads
 *   twin chain         a norm and its projection, computed twice
 *   twin join          the same weights joined twice, each with a reader
 *   single join        a joined weight of one part
 *   many shapes        reshapes of reshapes, to the same shape, and back
 *   whole slice        a slice of all columns
 *   slice of slice     columns of columns
 *
 * Look-alikes:
 *   reads q, reads gate, reads silu, reads scores    a second, live reader of a value that a fusion would take away
 *   shares wq, shares gate   a second projection by the same weight
 *   k is v, up is gate       one projection in two roles
 *   two norms                v has a norm of its own: the three projections read different inputs
 *   other activations        up takes its activations in another way than gate
 *   no silu                  gate times up, nothing between
 *   swapped                  up times silu(gate)
 *   other eps                a norm that differs from the next one in its eps alone
 *
 * In geluGraphs alone:
 *   gelu, gelu_tanh          that one where other layers have silu
 *
 * In limitedGraphs alone:
 *   windowed, capped         attention that looks back over a few positions, and scores that are capped
 *
 * In turnedGraphs alone:
 *   reads k                  a second reader of the keys that are turned for the cache
 */
export const PLANTS = [
  'dead',
  'dead chain',
  'twin norm',
  'twin chain',
  'twin join',
  'single join',
  'many shapes',
  'whole slice',
  'slice of slice',
  'reads q',
  'reads gate',
  'reads silu',
  'reads scores',
  'shares wq',
  'shares gate',
  'k is v',
  'up is gate',
  'two norms',
  'other activations',
  'no silu',
  'swapped',
  'other eps',
] as const;
export type Plant = (typeof PLANTS)[number] | 'gelu' | 'gelu_tanh' | 'windowed' | 'capped' | 'reads k';

export interface RandomGraph {
  readonly spec: GraphSpec;
  readonly graph: Graph;
  readonly weights: ReadonlyMap<string, Weight>;
}

/** Blocks of 32 at most; with rows of 256, super-blocks too. */
const SMALL_FORMATS: readonly DType[] = ['f32', 'f32', 'q8_0', 'q4_0', 'q4_0', 'f16', 'q5_1'];
const WIDE_FORMATS: readonly DType[] = ['q4_k', 'q4_k', 'q6_k', 'q8_0'];
/** nHeads x headDim is whole blocks: attn_output reads that many. */
const SMALL_SIZES: readonly Sizes[] = [
  { nHeads: 4, nKvHeads: 2, headDim: 8, dim: 32, hiddenDim: 64 },
  { nHeads: 1, nKvHeads: 1, headDim: 32, dim: 64, hiddenDim: 32 },
  { nHeads: 4, nKvHeads: 4, headDim: 8, dim: 32, hiddenDim: 96 },
  { nHeads: 8, nKvHeads: 2, headDim: 4, dim: 64, hiddenDim: 64 },
  { nHeads: 6, nKvHeads: 2, headDim: 16, dim: 32, hiddenDim: 32 },
];
const WIDE_SIZES: Sizes = { nHeads: 4, nKvHeads: 1, headDim: 64, dim: 256, hiddenDim: 256 };

const layerOf = (formats: readonly DType[], plants: fc.Arbitrary<readonly Plant[]>): fc.Arbitrary<LayerSpec> => {
  const dtype = fc.constantFrom(...formats);
  return fc.record({
    attention: fc.oneof(
      { weight: 5, arbitrary: dtype.map((d) => [d, d, d] as const) },
      { weight: 1, arbitrary: fc.tuple(dtype, dtype, dtype) },
    ),
    gateUp: fc.oneof(
      { weight: 5, arbitrary: dtype.map((d) => [d, d] as const) },
      { weight: 1, arbitrary: fc.tuple(dtype, dtype) },
    ),
    rest: dtype,
    plants,
  });
};

const somePlants = fc.oneof(
  { weight: 1, arbitrary: fc.constant<readonly Plant[]>([]) },
  { weight: 4, arbitrary: fc.subarray([...PLANTS], { maxLength: 4 }) },
);

/** The rest of a spec. vocab and seed vary freely; everything else is chosen from what passes care about. */
const specOf = (sizes: fc.Arbitrary<Sizes>, layers: fc.Arbitrary<readonly LayerSpec[]>, formats: readonly DType[]) =>
  fc.record<GraphSpec>({
    seed: fc.nat(),
    layers,
    sizes,
    vocab: fc.integer({ min: 2, max: 24 }),
    activations: fc.constantFrom('q8', 'f32'),
    layout: fc.constantFrom('pairs', 'halves'),
    ropes: fc.constantFrom('shared', 'equal', 'different', 'one unused', 'still', 'no pairs'),
    embeddingDType: fc.constantFrom(...formats),
    isTied: fc.boolean(),
    head: fc.constantFrom('plain', 'silu', 'taken early', 'read twice', 'taken twice'),
  });

/** Specs of one or two layers, and (one in twenty) of one layer in formats of super-blocks. `plants`: what layers may have. */
export function graphSpecs(plants: fc.Arbitrary<readonly Plant[]> = somePlants): fc.Arbitrary<GraphSpec> {
  const small = fc.array(layerOf(SMALL_FORMATS, plants), { minLength: 1, maxLength: 2 });
  const wide = layerOf(WIDE_FORMATS, plants).map((layer) => [layer]);
  return fc.oneof(
    { weight: 19, arbitrary: specOf(fc.constantFrom(...SMALL_SIZES), small, SMALL_FORMATS) },
    { weight: 1, arbitrary: specOf(fc.constant(WIDE_SIZES), wide, WIDE_FORMATS) },
  );
}

export const randomGraphs: fc.Arbitrary<RandomGraph> = graphSpecs().map(buildGraph);

/** Graphs whose layers have gelu, of either form, where others have silu, among what else a layer may have. */
export const geluGraphs: fc.Arbitrary<RandomGraph> = graphSpecs(
  fc.tuple(fc.constantFrom('gelu', 'gelu_tanh'), somePlants).map(([gelu, plants]) => [gelu, ...plants]),
).map(buildGraph);

/** Graphs of whose layers each may have a window, a cap, or both, among what else a layer may have. */
export const limitedGraphs: fc.Arbitrary<RandomGraph> = graphSpecs(
  fc.tuple(fc.subarray<Plant>(['windowed', 'capped']), somePlants).map(([limits, plants]) => [...limits, ...plants]),
).map(buildGraph);

/** Graphs of whose layers each may read its turned keys twice, and whose tables may turn a part of each head, among what else there is. */
export const turnedGraphs: fc.Arbitrary<RandomGraph> = fc
  .tuple(
    graphSpecs(fc.tuple(fc.subarray<Plant>(['reads k']), somePlants).map(([reader, plants]) => [...reader, ...plants])),
    fc.boolean(),
  )
  .map(([spec, isPart]) => buildGraph(isPart ? { ...spec, ropes: 'part' } : spec));

const WINDOW = 3;
/** Small beside the scores, so that it bends them. */
const CAP = 0.5;

const EPS = 1e-5;
/** Angles grow quickly, so that a few positions turn far. */
const ROPE_BASE = 20;

/** What was built is kept: the suites of all passes of a file draw the same specs. */
const built = new Map<string, RandomGraph>();

/** The graph and weights of a spec; equal specs give equal ones. */
export function buildGraph(spec: GraphSpec): RandomGraph {
  const key = JSON.stringify(spec);
  const known = built.get(key) ?? buildNew(spec);
  built.set(key, known);
  return known;
}

function buildNew(spec: GraphSpec): RandomGraph {
  const random = testRandom(spec.seed);
  const weights = new Map<string, Weight>();
  const b = createBuilder();
  const { dim, nKvHeads, headDim } = spec.sizes;
  const weight: AddWeight = (name, format, shape) => {
    if (!weights.has(name)) weights.set(name, randomWeight(name, format, shape, random));
    return b.weight(name, format, shape);
  };
  const ids = b.input('ids');
  const feeds = { positions: b.input('positions'), outRows: b.input('outRows') };
  const tableOf = ropeTables(b, spec);
  const embedding = weight('token_embd.weight', spec.embeddingDType, [spec.vocab, dim]);
  let x = b.embed('embedding', ids, embedding);
  spec.layers.forEach((layer, i) => {
    const parts = layerParts(b, spec, layer, i, weight);
    x = feedForward(parts, attention(parts, x, feeds.positions, tableOf(i)));
  });
  const logits = head(b, spec, weight, x, feeds.outRows, embedding);
  return { spec, graph: b.finish(logits, { nLayers: spec.layers.length, nKvHeads, headDim }), weights };
}

type AddWeight = (name: string, format: DType, shape: readonly number[]) => ValueId;

/** What the halves of a layer are built with. */
interface Parts {
  readonly b: GraphBuilder;
  readonly spec: GraphSpec;
  readonly layer: LayerSpec;
  readonly index: number;
  readonly has: (plant: Plant) => boolean;
  readonly name: (part: string) => string;
  readonly weight: AddWeight;
  readonly project: (part: string, x: ValueId, format: DType, nOut: number, activations?: Activations) => ValueId;
  readonly norm: (part: string, x: ValueId, eps?: number, weightPart?: string) => ValueId;
}

function layerParts(b: GraphBuilder, spec: GraphSpec, layer: LayerSpec, index: number, weight: AddWeight): Parts {
  const name = (part: string): string => `blk.${index}.${part}`;
  return {
    b,
    spec,
    layer,
    index,
    weight,
    name,
    has: (plant) => layer.plants.includes(plant),
    project: (part, x, format, nOut, activations = spec.activations) =>
      b.linear(name(part), x, weight(name(`${part}.weight`), format, [nOut, b.widthOf(x)]), activations),
    norm: (part, x, eps = EPS, weightPart = part) =>
      b.rmsNorm(name(part), x, weight(name(`${weightPart}.weight`), 'f32', [b.widthOf(x)]), eps),
  };
}

/** Norm, attention, residual. */
function attention(p: Parts, x: ValueId, positions: ValueId, table: number): ValueId {
  const { b, spec, layer, index, has, name } = p;
  const { nHeads, nKvHeads, headDim, dim } = spec.sizes;
  const [wq, wk, wv] = layer.attention;
  const qDim = nHeads * headDim;
  const kvDim = nKvHeads * headDim;
  const h = p.norm('attn_norm', x);
  const qFlat = p.project('attn_q', h, wq, qDim);
  const kFlat = p.project('attn_k', h, wk, kvDim);
  const vFlat = has('k is v') ? kFlat : p.project('attn_v', has('two norms') ? p.norm('v_norm', x) : h, wv, kvDim);
  const split = (part: string, flat: ValueId, n: number) => b.reshape(name(part), flat, ['T', n, headDim]);
  const q = b.rope(name('q_rope'), split('q', qFlat, nHeads), positions, spec.layout, table);
  const k = b.rope(name('k_rope'), split('k', kFlat, nKvHeads), positions, spec.layout, table);
  const keys = b.kvWriteK(name('keys'), k, index);
  const values = b.kvWriteV(name('values'), split('v', vFlat, nKvHeads), index);
  const limits = { window: has('windowed') ? WINDOW : undefined, cap: has('capped') ? CAP : undefined };
  const scores = b.attendScores(name('scores'), q, keys, positions, 1 / Math.sqrt(headDim), limits);
  const probs = b.softmax(name('probs'), scores, positions, limits);
  const mix = b.attendMix(name('mix'), probs, values, positions, limits);
  let heads = b.reshape(name('heads'), mix, ['T', qDim]);
  const alsoAdd = (part: string, other: ValueId): void => {
    heads = b.add(name(part), heads, other);
  };

  if (has('reads k')) {
    const kAgain = b.reshape(name('k_again'), k, ['T', nKvHeads * headDim]);
    alsoAdd('side_k', p.project('side_k_out', kAgain, 'f32', qDim));
  }
  if (has('dead')) b.silu(name('dead'), qFlat);
  if (has('dead chain')) b.add(name('dead_sum'), b.silu(name('dead_silu'), p.project('dead_linear', h, wq, dim)), x);
  if (has('reads q')) alsoAdd('side_q', b.silu(name('side_q_silu'), qFlat));
  if (has('reads scores')) {
    const sideProbs = b.softmax(name('side_probs'), scores, positions, limits);
    const again = b.attendMix(name('side_mix'), sideProbs, values, positions, limits);
    alsoAdd('side_scores', b.reshape(name('side_heads'), again, ['T', qDim]));
  }
  if (has('shares wq')) {
    alsoAdd(
      'side_w',
      b.linear(name('side_w_q'), h, p.weight(name('attn_q.weight'), wq, [qDim, dim]), spec.activations),
    );
  }
  if (has('twin chain')) {
    const one = p.project('chain', p.norm('chain_norm', x), wk, qDim);
    const w = p.weight(name('chain.weight'), wk, [qDim, dim]);
    const other = b.linear(name('chain_again'), p.norm('chain_norm_again', x, EPS, 'chain_norm'), w, spec.activations);
    alsoAdd('chain_sum', b.add(name('chain_both'), one, other));
  }
  if (has('many shapes')) {
    const wide = b.reshape(name('shape_1'), heads, ['T', nHeads, headDim]);
    const same = b.reshape(name('shape_2'), wide, ['T', nHeads, headDim]);
    heads = b.reshape(name('shape_4'), b.reshape(name('shape_3'), same, ['T', qDim / 2, 2]), ['T', qDim]);
  }
  if (has('whole slice')) heads = b.slice(name('all_columns'), heads, 0, qDim);
  if (has('slice of slice')) {
    const right = b.slice(name('right'), heads, qDim / 2, qDim / 2);
    const quarter = b.silu(name('quarter_silu'), b.slice(name('quarter'), right, qDim / 4, qDim / 4));
    // The quarter goes back into whole rows through a projection of its own.
    alsoAdd('quarter_sum', p.project('quarter_out', quarter, 'f32', qDim));
  }
  return b.add(name('attn_residual'), x, p.project('attn_output', heads, layer.rest, dim));
}

/** Norm, SwiGLU, residual. */
function feedForward(p: Parts, x: ValueId): ValueId {
  const { b, spec, layer, has, name } = p;
  const { dim, hiddenDim } = spec.sizes;
  const [wGate, wUp] = layer.gateUp;
  const f = p.norm('ffn_norm', x);
  const fUp = has('twin norm')
    ? p.norm('ffn_norm_again', x, EPS, 'ffn_norm')
    : has('other eps')
      ? p.norm('ffn_norm_other', x, 2 * EPS, 'ffn_norm')
      : f;
  const gate = p.project('ffn_gate', f, wGate, hiddenDim);
  const otherForm = spec.activations === 'q8' ? 'f32' : 'q8';
  const up = has('up is gate')
    ? gate
    : p.project('ffn_up', fUp, wUp, hiddenDim, has('other activations') ? otherForm : spec.activations);
  const activated = (): ValueId => {
    if (has('gelu')) return b.gelu(name('ffn_gelu'), gate);
    return has('gelu_tanh') ? b.geluTanh(name('ffn_gelu'), gate) : b.silu(name('ffn_silu'), gate);
  };
  const active = has('no silu') ? gate : activated();
  let gated = has('swapped') ? b.mul(name('ffn_gated'), up, active) : b.mul(name('ffn_gated'), active, up);
  if (has('reads gate')) gated = b.add(name('side_gate'), gated, gate);
  if (has('reads silu')) gated = b.add(name('side_silu'), gated, active);
  if (has('shares gate')) {
    const w = p.weight(name('ffn_gate.weight'), wGate, [hiddenDim, dim]);
    gated = b.add(name('side_shares'), gated, b.linear(name('side_gate_w'), x, w, spec.activations));
  }
  if (has('single join')) {
    const joined = b.concatWeights(name('one.joined'), wUp, [p.weight(name('one.weight'), wUp, [hiddenDim, dim])]);
    gated = b.add(name('one_sum'), gated, b.linear(name('one'), f, joined, spec.activations));
  }
  if (has('twin join')) {
    const halves = ['a', 'b'].map((half) => p.weight(name(`half_${half}.weight`), wGate, [hiddenDim / 2, dim]));
    const twins = ['joined', 'joined_again'].map((part) => b.concatWeights(name(part), wGate, halves));
    const [one, other] = twins.map((w, i) => b.linear(name(`twin_${i}`), i === 0 ? f : x, w, spec.activations));
    gated = b.add(name('twin_sum'), gated, b.add(name('twin_both'), one!, other!));
  }
  return b.add(name('ffn_residual'), x, p.project('ffn_down', gated, layer.rest, dim));
}

function head(
  b: GraphBuilder,
  spec: GraphSpec,
  weight: AddWeight,
  x: ValueId,
  outRows: ValueId,
  embedding: ValueId,
): ValueId {
  const { dim } = spec.sizes;
  const rows = spec.head === 'taken early' ? b.takeRows('taken', x, outRows) : x;
  let normed = b.rmsNorm('output_norm', rows, weight('output_norm.weight', 'f32', [dim]), EPS);
  if (spec.head === 'silu') normed = b.silu('output_silu', normed);
  const w = spec.isTied ? embedding : weight('output.weight', spec.embeddingDType, [spec.vocab, dim]);
  const all = b.linear('output', normed, w, spec.activations);
  if (spec.head === 'taken early') return all;
  const logits = b.takeRows('logits', all, outRows);
  if (spec.head === 'read twice') {
    return b.add(
      'logits_sum',
      logits,
      b.takeRows('other_rows', b.linear('other', normed, w, spec.activations), outRows),
    );
  }
  return spec.head === 'taken twice' ? b.add('logits_sum', logits, b.takeRows('logits_again', all, outRows)) : logits;
}

/** Registers the tables of a spec; gives each layer's index. */
function ropeTables(b: GraphBuilder, { ropes, sizes, layers }: GraphSpec): (layer: number) => number {
  const ropeDim = ropes === 'part' ? sizes.headDim / 2 : sizes.headDim;
  const table = (base: number): RopeSpec => ({ frequencies: ropeFrequencies(base, ropeDim), magnitude: 1 });
  const still: RopeSpec = { frequencies: table(ROPE_BASE).frequencies.map(() => 0), magnitude: 1 };
  const none: RopeSpec = { frequencies: [], magnitude: 1 };
  if (ropes === 'one unused') b.ropeTable(table(2 * ROPE_BASE));
  const isOwn = ropes === 'equal' || ropes === 'different' || ropes === 'part';
  const own = layers.map((_, i) => {
    if (i > 0 && !isOwn) return 0;
    if (ropes === 'still' || ropes === 'no pairs') return b.ropeTable(ropes === 'still' ? still : none);
    return b.ropeTable(table(ropes === 'equal' ? ROPE_BASE : ROPE_BASE + i));
  });
  return (layer) => own[isOwn ? layer : 0]!;
}

/** One value in this many is an outlier, and as many are 0. */
const RARE = 24;

export function randomWeight(name: string, format: DType, shape: readonly number[], random: () => number): Weight {
  const nIn = shape.at(-1)!;
  if (DTYPES[format].blockSize > 32) return drawnBlocks(name, format, shape, random);
  const nRows = shape.slice(0, -1).reduce((n, size) => n * size, 1);
  const values = Float32Array.from({ length: nRows * nIn }, () => {
    const v = (random() + random() + random() - 1.5) * (shape.length === 1 ? 2 : 0.4);
    const rare = Math.floor(random() * RARE);
    return rare === 0 ? 8 * v : rare === 1 ? 0 : v;
  });
  const bytes = new Uint8Array(nRows * rowBytes(format, nIn));
  fillWeights(format, values, random, bytes);
  return { name, dtype: format, shape, bytes };
}

/** Packing takes long for a super-block, whose scales come out of a search: a few are packed, and drawn again and again. */
const POOL_BLOCKS = 12;

function drawnBlocks(name: string, format: DType, shape: readonly number[], random: () => number): Weight {
  const { blockSize, blockBytes } = DTYPES[format];
  const values = Float32Array.from({ length: POOL_BLOCKS * blockSize }, () => (random() - 0.5) * 0.4);
  const pool = new Uint8Array(POOL_BLOCKS * blockBytes);
  fillWeights(format, values, random, pool);
  const nBlocks = shape.reduce((n, size) => n * size, 1) / blockSize;
  const bytes = new Uint8Array(nBlocks * blockBytes);
  for (let i = 0; i < nBlocks; i++) {
    const from = Math.floor(random() * POOL_BLOCKS) * blockBytes;
    bytes.set(pool.subarray(from, from + blockBytes), i * blockBytes);
  }
  return { name, dtype: format, shape, bytes };
}

/** Whether some product of the graph rounds its activations. */
export function roundsActivations({ nodes }: Graph): boolean {
  return nodes.some((node) => {
    if ((node.op !== 'linear' && node.op !== 'expert_linear') || node.activations !== 'q8') return false;
    const w = nodes[node.inputs[1]!]!;
    return (w.op === 'weight' || w.op === 'concat_weights') && takesQ8(w.dtype);
  });
}
