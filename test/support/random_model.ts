import fc from 'fast-check';
import { ALL_DTYPES, DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import type { Weight } from '../../src/core/tensor.ts';
import { createBuilder } from '../../src/graph/build.ts';
import type { Graph, ValueId } from '../../src/graph/ir.ts';
import type { Activations } from '../../src/ops/linear.ts';
import type { RopeLayout } from '../../src/ops/rope.ts';
import { ropeFrequencies } from '../../src/ops/rope_table.ts';
import { takesQ8 } from '../../src/quant/codes.ts';
import { testRandom } from './floats.ts';
import { fillWeights } from './tiny_llama.ts';

/**
 * Random Llama-like models, small enough for the naive executors, with the patterns that passes look for and the ones that
 * look alike and must be left alone. What is planted is said by the spec, so that a test can count it.
 */
export interface ModelSpec {
  readonly seed: number;
  readonly layers: readonly LayerSpec[];
  /** nHeads, nKvHeads, headDim */
  readonly heads: readonly [number, number, number];
  readonly dim: number;
  readonly hiddenDim: number;
  readonly vocab: number;
  readonly activations: Activations;
  readonly layout: RopeLayout;
  /** Only the first half of each head is turned. */
  readonly isPartialRope: boolean;
  readonly embeddingDType: DType;
  /** The output projection is the embedding. */
  readonly isTied: boolean;
  readonly head: 'plain' | 'silu' | 'taken early' | 'read twice';
}

export interface LayerSpec {
  /** Formats of wq, wk, wv: equal in most models. */
  readonly attention: readonly [DType, DType, DType];
  readonly ffn: DType;
  readonly junk: readonly Junk[];
}

/**
 * dead        a branch that nothing reads
 * dead chain  three nodes, the last of them dead
 * reads q     a live second reader of q's projection
 * shares wq   a live second projection by q's weight, which must not be merged away
 * k is v      one projection serves as keys and as values
 * two norms   v comes from a norm of its own, so that the three projections read different inputs
 */
export type Junk = 'dead' | 'dead chain' | 'reads q' | 'shares wq' | 'k is v' | 'two norms';

export interface RandomModel {
  readonly spec: ModelSpec;
  readonly graph: Graph;
  readonly weights: ReadonlyMap<string, Weight>;
}

/** Blocks of 32 at most, so that models may be small; op by op, test/ops/within_bounds.test.ts has the others too. */
const dtype = fc.constantFrom<DType>(...ALL_DTYPES.filter((name) => DTYPES[name].blockSize <= 32));
const JUNK: readonly Junk[] = ['dead', 'dead chain', 'reads q', 'shares wq', 'k is v', 'two norms'];

const layer: fc.Arbitrary<LayerSpec> = fc.record({
  attention: fc.oneof(
    { weight: 4, arbitrary: dtype.map((d) => [d, d, d] as const) },
    { weight: 1, arbitrary: fc.tuple(dtype, dtype, dtype) },
  ),
  ffn: dtype,
  junk: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constantFrom<Junk[]>(['dead'], ['dead chain']) },
    { weight: 2, arbitrary: fc.subarray([...JUNK], { maxLength: 2 }) },
  ),
});

export const modelSpecs: fc.Arbitrary<ModelSpec> = fc.record({
  seed: fc.nat(),
  layers: fc.array(layer, { minLength: 1, maxLength: 2 }),
  // nHeads x headDim is whole blocks: attn_output reads that many.
  heads: fc.constantFrom([4, 2, 8], [2, 1, 16], [1, 1, 32], [4, 4, 8], [8, 2, 4], [6, 2, 16], [2, 2, 16]),
  dim: fc.constantFrom(32, 64),
  hiddenDim: fc.constantFrom(32, 64, 96),
  vocab: fc.integer({ min: 2, max: 40 }),
  activations: fc.constantFrom('q8', 'f32'),
  layout: fc.constantFrom('pairs', 'halves'),
  isPartialRope: fc.boolean(),
  embeddingDType: dtype,
  isTied: fc.boolean(),
  head: fc.constantFrom('plain', 'silu', 'taken early', 'read twice'),
});

export const randomModels: fc.Arbitrary<RandomModel> = modelSpecs.map(buildModel);

const EPS = 1e-5;
/** Angles grow quickly, so that a few positions turn far. */
const ROPE_BASE = 20;

/** The model of a spec; equal specs give equal models. */
export function buildModel(spec: ModelSpec): RandomModel {
  const random = testRandom(spec.seed);
  const weights = new Map<string, Weight>();
  const b = createBuilder();
  const [nHeads, nKvHeads, headDim] = spec.heads;
  const { dim, hiddenDim, vocab, activations } = spec;

  const weight = (name: string, format: DType, shape: readonly number[]): ValueId => {
    if (!weights.has(name)) weights.set(name, randomWeight(name, format, shape, random));
    return b.weight(name, format, shape);
  };
  const project = (name: string, x: ValueId, format: DType, nOut: number): ValueId =>
    b.linear(name, x, weight(`${name}.weight`, format, [nOut, b.widthOf(x)]), activations);
  const norm = (name: string, x: ValueId): ValueId => b.rmsNorm(name, x, weight(`${name}.weight`, 'f32', [dim]), EPS);

  const ids = b.input('ids');
  const positions = b.input('positions');
  const outRows = b.input('outRows');
  const ropeDim = spec.isPartialRope ? headDim / 2 : headDim;
  const table = b.ropeTable({ frequencies: ropeFrequencies(ROPE_BASE, ropeDim), magnitude: 1 });
  const embedding = weight('token_embd.weight', spec.embeddingDType, [vocab, dim]);
  let x = b.embed('embedding', ids, embedding);

  spec.layers.forEach(({ attention, ffn, junk }, i) => {
    const name = (part: string): string => `blk.${i}.${part}`;
    const [wq, wk, wv] = attention;
    const kvDim = nKvHeads * headDim;
    const h = norm(name('attn_norm'), x);
    const qFlat = project(name('attn_q'), h, wq, nHeads * headDim);
    const kFlat = project(name('attn_k'), h, wk, kvDim);
    const vInput = junk.includes('two norms') ? norm(name('v_norm'), x) : h;
    const vFlat = junk.includes('k is v') ? kFlat : project(name('attn_v'), vInput, wv, kvDim);
    const split = (part: string, flat: ValueId, n: number) => b.reshape(name(part), flat, ['T', n, headDim]);
    const q = b.rope(name('q_rope'), split('q', qFlat, nHeads), positions, spec.layout, table);
    const k = b.rope(name('k_rope'), split('k', kFlat, nKvHeads), positions, spec.layout, table);
    const keys = b.kvWriteK(name('keys'), k, i);
    const values = b.kvWriteV(name('values'), split('v', vFlat, nKvHeads), i);
    const scores = b.attendScores(name('scores'), q, keys, positions, 1 / Math.sqrt(headDim));
    const mix = b.attendMix(name('mix'), b.softmax(name('probs'), scores, positions), values, positions);
    let heads = b.reshape(name('heads'), mix, ['T', nHeads * headDim]);

    if (junk.includes('dead')) b.silu(name('dead'), qFlat);
    if (junk.includes('dead chain')) {
      b.add(name('dead_sum'), b.silu(name('dead_silu'), project(name('dead_linear'), h, ffn, dim)), x);
    }
    if (junk.includes('reads q')) heads = b.add(name('side_q'), heads, b.silu(name('side_q_silu'), qFlat));
    if (junk.includes('shares wq')) {
      const again = b.linear(
        name('side_w'),
        h,
        weight(name('attn_q.weight'), wq, [nHeads * headDim, dim]),
        activations,
      );
      heads = b.add(name('side_w_sum'), heads, again);
    }
    const attended = b.add(name('attn_residual'), x, project(name('attn_output'), heads, ffn, dim));

    const f = norm(name('ffn_norm'), attended);
    const gate = b.silu(name('ffn_silu'), project(name('ffn_gate'), f, ffn, hiddenDim));
    const gated = b.mul(name('ffn_gated'), gate, project(name('ffn_up'), f, ffn, hiddenDim));
    x = b.add(name('ffn_residual'), attended, project(name('ffn_down'), gated, ffn, dim));
  });

  if (spec.head === 'taken early') x = b.takeRows('taken', x, outRows);
  let normed = norm('output_norm', x);
  if (spec.head === 'silu') normed = b.silu('output_silu', normed);
  const outWeight = spec.isTied ? embedding : weight('output.weight', spec.embeddingDType, [vocab, dim]);
  let logits = b.linear('output', normed, outWeight, activations);
  if (spec.head !== 'taken early') logits = b.takeRows('logits', logits, outRows);
  if (spec.head === 'read twice') {
    // A second reader of the norm, live to the end: rows may not be taken before it.
    const other = b.takeRows('other_rows', b.linear('other', normed, outWeight, activations), outRows);
    logits = b.add('logits_sum', logits, other);
  }
  return { spec, graph: b.finish(logits, { nLayers: spec.layers.length, nKvHeads, headDim }), weights };
}

/** One value in this many is an outlier, and as many are 0. */
const RARE = 24;

function randomWeight(name: string, format: DType, shape: readonly number[], random: () => number): Weight {
  const nIn = shape.at(-1)!;
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

/** True when the activation form of a model makes a difference. */
export function usesQuantizedActivations({ graph }: RandomModel): boolean {
  return graph.nodes.some(
    (node) => node.op === 'linear' && node.activations === 'q8' && takesQ8(weightFormat(graph, node.inputs[1]!)),
  );
}

function weightFormat(graph: Graph, id: ValueId): DType {
  const node = graph.nodes[id]!;
  return node.op === 'weight' || node.op === 'concat_weights' ? node.dtype : 'f32';
}
