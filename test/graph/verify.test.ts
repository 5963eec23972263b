import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Graph, Node } from '../../src/graph/ir.ts';
import { verify } from '../../src/graph/verify.ts';
import { buildModel, type ModelSpec, randomModels } from '../support/random_model.ts';

const SPEC: ModelSpec = {
  seed: 1,
  layers: [{ attention: ['f32', 'f32', 'f32'], ffn: 'q8_0', junk: [] }],
  heads: [4, 2, 8],
  dim: 64,
  hiddenDim: 96,
  vocab: 7,
  activations: 'q8',
  layout: 'pairs',
  isPartialRope: false,
  embeddingDType: 'f32',
  isTied: false,
  head: 'plain',
};

const good = buildModel(SPEC).graph;

/** A write that turns keys on their way, without its inputs. */
const writeTurned = { op: 'rope_write_k', layer: 0, layout: 'pairs', table: 0, shape: ['S', 2, 8] } as const;

function idOf(name: string): number {
  return good.nodes.findIndex((n) => n.name === name);
}

/** The graph with one node changed. */
function withNode(name: string, change: object): Graph {
  return { ...good, nodes: good.nodes.map((n) => (n.name === name ? ({ ...n, ...change } as Node) : n)) };
}

/** The graph with more nodes at its end. */
function withNodes(...more: object[]): Graph {
  return { ...good, nodes: [...good.nodes, ...(more as Node[])] };
}

/** The graph with a residual_norm "both" of rows of 64, and slices of it. */
function withHalves(...slices: (readonly [from: number, width: number])[]): Graph {
  const x = idOf('embedding');
  const inputs = [x, x, idOf('output_norm.weight')];
  const both = { op: 'residual_norm', eps: 1, name: 'both', inputs, shape: ['T', 128] };
  const at = good.nodes.length;
  const halves = slices.map(([from, width], i) => {
    return { op: 'slice', from, width, name: `half ${i}`, inputs: [at], shape: ['T', width] };
  });
  return withNodes(both, ...halves);
}

/** The graph with one input of one node led elsewhere. */
function withInput(name: string, index: number, from: string): Graph {
  return withNode(name, { inputs: good.nodes[idOf(name)]!.inputs.map((i, at) => (at === index ? idOf(from) : i)) });
}

test('random models verify', () => {
  fc.assert(fc.property(randomModels, ({ graph }) => verify(graph)));
});

test('both halves of a residual_norm, in any order, verify', () => {
  verify(withHalves([0, 64], [64, 64]));
  verify(withHalves([64, 64], [0, 64]));
  verify(withHalves());
});

describe('each promise, broken once, is caught', () => {
  const BROKEN: [promise: string, graph: () => Graph, message: RegExp][] = [
    [
      'inputs point backwards',
      () => withNode('blk.0.attn_norm', { inputs: [idOf('blk.0.scores'), idOf('blk.0.attn_norm.weight')] }),
      /is not an earlier node/,
    ],
    [
      'no node reads itself',
      () => withNode('blk.0.ffn_silu', { inputs: [idOf('blk.0.ffn_silu')] }),
      /is not an earlier node/,
    ],
    ['inputs exist', () => withNode('embedding', { inputs: [-1, 0] }), /input %-1 is not an earlier node/],
    ['inputs are whole', () => withNode('embedding', { inputs: [0.5, 3] }), /is not an earlier node/],
    ['names are unique', () => withNode('output', { name: 'embedding' }), /name is used twice/],
    [
      "stated shapes are the rule's",
      () => withNode('output', { shape: ['T', 8] }),
      /states \[T, 8\], its rule gives \[T, 7\]/,
    ],
    [
      'stated shapes keep their symbols',
      () => withNode('blk.0.scores', { shape: [4, 'T', 'T'] }),
      /its rule gives \[4, T, S\]/,
    ],
    ['inputs fit', () => withNode('blk.0.attn_output.weight', { shape: [64, 64] }), /linear: inner size/],
    ['weights are whole blocks', () => withNode('blk.0.ffn_up.weight', { shape: [64, 40] }), /not a multiple of 32/],
    ['weights have known sizes', () => withNode('output.weight', { shape: ['T', 64] }), /is open/],
    [
      'ops take their number of inputs',
      () => withNode('output', { inputs: [...good.nodes[idOf('output')]!.inputs, 0] }),
      /linear: has 3 inputs, takes 2/,
    ],
    ['ops have all inputs', () => withNode('blk.0.attn_residual', { inputs: [] }), /add: has 0 inputs, takes 2/],
    ['reshape has one input', () => withNode('blk.0.heads', { inputs: [] }), /reshape: has 0 inputs, takes 1/],
    [
      'concat_weights has inputs',
      () => withNodes({ op: 'concat_weights', dtype: 'f32', name: 'joined', inputs: [], shape: [0, 64] }),
      /concat_weights: has no input/,
    ],
    [
      'slice columns are whole',
      () => withNodes({ op: 'slice', from: 0.5, width: 1, name: 's', inputs: [idOf('embedding')], shape: ['T', 1] }),
      /slice: columns 0.5/,
    ],
    [
      'slice stays inside',
      () => withNodes({ op: 'slice', from: 60, width: 8, name: 's', inputs: [idOf('embedding')], shape: ['T', 8] }),
      /outside width 64/,
    ],
    ['a residual_norm is read by halves', () => withHalves([0, 32]), /reads both, of which only a slice of one half/],
    ['not across them', () => withHalves([32, 64]), /reads both, of which only a slice of one half/],
    [
      'and by each of them once',
      () => withHalves([0, 64], [64, 64], [0, 64]),
      /is a half of both that is there already/,
    ],
    [
      'codes of a norm are read by products that round it so',
      () => withNode('blk.0.attn_norm', { codes: 32 }),
      /reads blk.0.attn_norm, whose codes of blocks of 32 only products that round so read/,
    ],
    ['the output exists', () => ({ ...good, output: good.nodes.length }), /output %\d+ does not exist/],
    ['the output is [R, vocab]', () => ({ ...good, output: idOf('output') }), /the output is \[T, 7\]/],
    ['rope tables exist', () => ({ ...good, ropes: [] }), /there is no rope table 0/],
    [
      'rope tables are named by whole numbers',
      () => withNode('blk.0.q_rope', { table: 0.5 }),
      /there is no rope table 0.5/,
    ],
    [
      'rope tables fit the head',
      () => ({ ...good, ropes: [{ frequencies: [1, 1, 1, 1, 1], magnitude: 1 }] }),
      /turns 10 elements of heads of 8/,
    ],
    [
      'a layer is written once',
      () => withNodes({ op: 'kv_write_k', layer: 0, name: 'again', inputs: [idOf('blk.0.k')], shape: ['S', 2, 8] }),
      /layer 0 is written twice/,
    ],
    [
      'also where one of the writes turns keys first',
      () => withNodes({ ...writeTurned, layer: 0, name: 'again', inputs: [idOf('blk.0.k'), idOf('positions')] }),
      /layer 0 is written twice/,
    ],
    [
      'tables that a write turns by exist',
      () => withNode('blk.0.keys', { ...writeTurned, table: 1, inputs: [idOf('blk.0.k'), idOf('positions')] }),
      /there is no rope table 1/,
    ],
    [
      'a write that turns keys reads their positions',
      () => withNode('blk.0.keys', { ...writeTurned, inputs: [idOf('blk.0.k'), idOf('outRows')] }),
      /rope_write_k: number of rows is T on one side and R/,
    ],
    ['layers are within the cache', () => withNode('blk.0.keys', { layer: 1 }), /layer 1 is outside 0..0/],
    ['rows fit the cache', () => ({ ...good, kv: { ...good.kv, headDim: 16 } }), /do not fit the cache's \[S, 2, 16\]/],
    [
      'add reads no weight',
      () =>
        withNodes({ op: 'add', name: 'sum', inputs: [idOf('output.weight'), idOf('output.weight')], shape: [7, 64] }),
      /input 0 is a weight, add takes a tensor/,
    ],
    [
      'linear reads a weight',
      () =>
        withNodes({
          op: 'linear',
          activations: 'f32',
          name: 'y',
          inputs: [idOf('embedding'), idOf('embedding')],
          shape: ['T', 'T'],
        }),
      /input 1 is a tensor, linear takes a weight/,
    ],
    [
      'embed reads ids or positions',
      () =>
        withNodes({
          op: 'embed',
          name: 'y',
          inputs: [idOf('outRows'), idOf('token_embd.weight')],
          shape: ['R', 64],
        }),
      /input 0 is the feed outRows, embed takes the feed ids or the feed positions/,
    ],
    [
      'rope reads positions',
      () => withInput('blk.0.q_rope', 1, 'ids'),
      /input 1 is the feed ids, rope takes the feed positions/,
    ],
    [
      'attention reads positions',
      () => withInput('blk.0.scores', 2, 'ids'),
      /input 2 is the feed ids, attend_scores takes the feed positions/,
    ],
    ['take_rows reads rows', () => withInput('logits', 1, 'ids'), /states \[R, 7\], its rule gives \[T, 7\]/],
    [
      'the three ops of one attention have one window',
      () => withNode('blk.0.probs', { window: 3 }),
      /\(softmax "blk\.0\.probs"\): its window is 3, that of blk\.0\.scores is none/,
    ],
    [
      'the last of them too',
      () => withNode('blk.0.mix', { window: 3 }),
      /its window is 3, that of blk\.0\.probs is none/,
    ],
    [
      'scores read keys',
      () =>
        withNodes({
          op: 'attend_scores',
          scale: 1,
          name: 's',
          inputs: [idOf('blk.0.q_rope'), idOf('blk.0.values'), idOf('positions')],
          shape: [4, 'T', 'S'],
        }),
      /input 1 is cached values, attend_scores takes cached keys/,
    ],
    [
      'the mix reads values, not keys',
      () => withInput('blk.0.mix', 1, 'blk.0.keys'),
      /input 1 is cached keys, attend_mix takes cached values/,
    ],
    [
      'softmax reads scores',
      () =>
        withNodes(
          { op: 'reshape', to: [4, 'T', 8], name: 'r', inputs: [idOf('blk.0.q')], shape: [4, 'T', 8] },
          { op: 'softmax', name: 'p', inputs: [good.nodes.length, idOf('positions')], shape: [4, 'T', 8] },
        ),
      /input 0 is a tensor, softmax takes a score matrix/,
    ],
    [
      'nothing else reads the cache',
      () => withNodes({ op: 'silu', name: 'y', inputs: [idOf('blk.0.keys')], shape: ['S', 2, 8] }),
      /input 0 is cached keys, silu takes a tensor/,
    ],
    [
      'nothing else reads scores',
      () => withNodes({ op: 'silu', name: 'y', inputs: [idOf('blk.0.scores')], shape: [4, 'T', 'S'] }),
      /input 0 is a score matrix, silu takes a tensor/,
    ],
    [
      'no feed enters arithmetic',
      () => withNodes({ op: 'silu', name: 'y', inputs: [idOf('ids')], shape: ['T'] }),
      /input 0 is the feed ids, silu takes a tensor/,
    ],
    [
      'joined weights have one format',
      () =>
        withNodes({
          op: 'concat_weights',
          dtype: 'f32',
          name: 'j',
          inputs: [idOf('blk.0.ffn_gate.weight'), idOf('blk.0.ffn_up.weight')],
          shape: [192, 64],
        }),
      /of another format/,
    ],
    [
      'joined weights are stored ones',
      () =>
        withNodes(
          { op: 'concat_weights', dtype: 'f32', name: 'j', inputs: [idOf('output.weight')], shape: [7, 64] },
          { op: 'concat_weights', dtype: 'f32', name: 'jj', inputs: [good.nodes.length], shape: [7, 64] },
        ),
      /joins j, which is not a stored weight/,
    ],
  ];

  test.each(BROKEN)('%s', (_promise, graph, message) => {
    expect(() => verify(graph())).toThrow(message);
  });
});
