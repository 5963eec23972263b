import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { createBuilder } from '../../src/graph/build.ts';
import type { Node } from '../../src/graph/ir.ts';
import { dropDead } from '../../src/graph/passes/drop_dead.ts';
import { optimize, PASSES } from '../../src/graph/passes/index.ts';
import { lastRowOnly } from '../../src/graph/passes/last_row_only.ts';
import { mergeQkv } from '../../src/graph/passes/merge_qkv.ts';
import { verify } from '../../src/graph/verify.ts';
import { scenarios } from '../support/scenario.ts';
import { changing, countOp } from './mutants.ts';
import { expectSameBits, passOrders, passSuite, RUNS, sameStructure } from './pass_suite.ts';
import { buildGraph, type GraphSpec, type LayerSpec, type Plant, randomGraphs } from './random_graph.ts';

passSuite(mergeQkv, {
  firedAtLeast: 0.6,
  mutants: {
    'slices start one column late': changing(mergeQkv, 'slice', ({ from, inputs, width }, { nodes }) => ({
      from: Math.min(from + 1, (nodes[inputs[0]!]!.shape[1] as number) - width),
    })),
    'all slices start at 0': changing(mergeQkv, 'slice', () => ({ from: 0 })),
    'weights joined in another order': changing(mergeQkv, 'concat_weights', ({ inputs }) => ({
      inputs: inputs.length === 3 ? [inputs[0]!, inputs[2]!, inputs[1]!] : inputs,
    })),
    'the merged linear forgets how activations enter': changing(mergeQkv, 'linear', ({ activations, name }) => ({
      activations: name.includes('+') ? (activations === 'q8' ? 'f32' : 'q8') : activations,
    })),
  },
});

passSuite(lastRowOnly, {
  firedAtLeast: 0.35,
  mutants: {
    'takes the rows of another value': changing(lastRowOnly, 'take_rows', ({ inputs }, { nodes }) => ({
      inputs: [nodes.findIndex((n) => n.op === 'embed'), inputs[1]!],
    })),
    'norm with another eps': changing(lastRowOnly, 'rms_norm', ({ eps, name }) => ({
      eps: name.endsWith('.taken') ? 2 * eps : eps,
    })),
    'skips the norm': (graph) => {
      const after = lastRowOnly.apply(graph);
      const norm = after.nodes.findIndex((n) => n.op === 'rms_norm' && n.name.endsWith('.taken'));
      const skip = (i: number): number => (i === norm ? after.nodes[norm]!.inputs[0]! : i);
      return { ...after, nodes: after.nodes.map((n) => ({ ...n, inputs: n.inputs.map(skip) }) as Node) };
    },
  },
});

passSuite(dropDead, {
  firedAtLeast: 0.2,
  mutants: {
    'forgets that a sum has two inputs': changing(dropDead, 'add', ({ inputs }) => ({
      inputs: [inputs[0]!, inputs[0]!],
    })),
    'drops a live node and reads its neighbour': (graph) => {
      const after = dropDead.apply(graph);
      const gone = after.nodes.findIndex((n) => n.op === 'silu' && n.name.includes('ffn'));
      const nodes = after.nodes
        .filter((_, id) => id !== gone)
        .map((n) => ({ ...n, inputs: n.inputs.map((i) => (i >= gone ? i - 1 : i)) }) as Node);
      return { ...after, nodes, output: after.output - 1 };
    },
  },
});

describe('all passes together', () => {
  test('any choice of them, in any order that keeps what each says of its place, gives the same bits', () => {
    fc.assert(
      fc.property(randomGraphs, scenarios, passOrders(PASSES), (random, scenario, order) => {
        const after = order.reduce((graph, pass) => pass.apply(graph), random.graph);
        verify(after);
        expectSameBits(random, random.graph, after, scenario);
      }),
      { ...RUNS, numRuns: 2 * RUNS.numRuns },
    );
  });

  test('the list keeps what each pass says of its place, and names passes that there are', () => {
    const names = PASSES.map((pass) => pass.name);
    expect(new Set(names).size).toBe(names.length);
    PASSES.forEach((pass, at) => {
      for (const earlier of pass.after) {
        expect(names, `${pass.name} is after ${earlier}`).toContain(earlier);
        expect(names.indexOf(earlier), `${pass.name} is after ${earlier}`).toBeLessThan(at);
      }
    });
  });

  test('a pass with a mistake in it is caught within the orders too', () => {
    const wrong = { ...mergeQkv, apply: changing(mergeQkv, 'slice', () => ({ from: 0 })) };
    const passes = PASSES.map((pass) => (pass.name === wrong.name ? wrong : pass));
    const property = fc.property(randomGraphs, scenarios, passOrders(passes), (random, scenario, order) => {
      const after = order.reduce((graph, pass) => pass.apply(graph), random.graph);
      expectSameBits(random, random.graph, after, scenario);
    });
    expect(fc.check(property, { ...RUNS, endOnFailure: true }).failed).toBe(true);
  });

  test('optimize runs the listed passes in their order, without those that are switched off', () => {
    fc.assert(
      fc.property(randomGraphs, ({ graph }) => {
        const byHand = PASSES.reduce((g, pass) => pass.apply(g), graph);
        expect(sameStructure(optimize(graph), byHand)).toBe(true);
        const all = PASSES.map((p) => p.name);
        expect(optimize(graph, all)).toBe(graph);
      }),
      RUNS,
    );
  });

  test('a pass that does not exist cannot be switched off', () => {
    const { graph } = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!;
    expect(() => optimize(graph, ['merge_qvk'])).toThrow(ConfigError);
    expect(() => optimize(graph, ['merge_qvk'])).toThrow(/no pass "merge_qvk"; passes are .*merge_qkv/);
  });
});

test('drop_dead keeps a cache write that only later runs read, and every feed', () => {
  const b = createBuilder();
  const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
  const keys = b.kvWriteK('keys', b.reshape('k', x, ['T', 1, 8]), 0);
  b.input('positions');
  b.silu('dead', x);
  const graph = b.finish(b.takeRows('y', x, b.input('outRows')), { nLayers: 1, nKvHeads: 1, headDim: 8 });
  const kept = dropDead.apply(graph).nodes.map((n) => n.name);
  expect(kept).toEqual(['ids', 'table', 'x', 'k', 'keys', 'positions', 'outRows', 'y']);
  expect(graph.nodes[keys]!.name).toBe('keys');
});

describe('what merge_qkv leaves alone', () => {
  const base: GraphSpec = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!.spec;
  const layer: LayerSpec = { attention: ['f32', 'f32', 'f32'], gateUp: ['f32', 'f32'], rest: 'f32', plants: [] };
  const mergedIn = (layers: readonly LayerSpec[]) =>
    countOp(mergeQkv.apply(buildGraph({ ...base, layers }).graph), 'concat_weights');
  const planted = (plant: Plant): LayerSpec => ({ ...layer, plants: [plant] });

  test('it fires on a plain layer, once', () => expect(mergedIn([layer])).toBe(1));
  test('and once in each of two', () => expect(mergedIn([layer, planted('dead')])).toBe(2));
  test.each<[string, LayerSpec]>([
    ['a weight with a second reader', planted('shares wq')],
    ['keys that are the values', planted('k is v')],
    ['values from another norm', planted('two norms')],
    ['weights of two formats', { ...layer, attention: ['f32', 'f32', 'f16'] }],
  ])('%s', (_what, left) => expect(mergedIn([left])).toBe(0));
});
