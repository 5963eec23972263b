import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeGateUp } from '../../src/graph/passes/merge_gate_up.ts';
import { mergeQkv } from '../../src/graph/passes/merge_qkv.ts';
import type { Pass } from '../../src/graph/passes/pass.ts';
import { changing, countOp } from './mutants.ts';
import { passSuite } from './pass_suite.ts';
import { buildGraph, type GraphSpec, type LayerSpec, type Plant, randomGraphs } from './random_graph.ts';

/** Ways in which linears that become one can go wrong. */
const mergeMutants = (pass: Pass) => ({
  'slices start one column late': changing(pass, 'slice', ({ from, inputs, width }, { nodes }) => ({
    from: Math.min(from + 1, (nodes[inputs[0]!]!.shape[1] as number) - width),
  })),
  'all slices start at 0': changing(pass, 'slice', () => ({ from: 0 })),
  'weights joined in another order': changing(pass, 'concat_weights', ({ name, inputs }) => ({
    inputs: name.includes('+') ? [inputs[0]!, ...inputs.slice(1).reverse()].reverse() : inputs,
  })),
  'the merged linear forgets how activations enter': changing(pass, 'linear', ({ activations, name }) => ({
    activations: name.includes('+') ? (activations === 'q8' ? 'f32' : 'q8') : activations,
  })),
});

passSuite(mergeQkv, { firedAtLeast: 0.6, mutants: mergeMutants(mergeQkv) });
passSuite(mergeGateUp, { firedAtLeast: 0.5, mutants: mergeMutants(mergeGateUp) });

const base: GraphSpec = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!.spec;
const layer: LayerSpec = { attention: ['f32', 'f32', 'f32'], gateUp: ['q8_0', 'q8_0'], rest: 'f32', plants: [] };
const planted = (...plants: Plant[]): LayerSpec => ({ ...layer, plants });
const mergedIn = (pass: Pass, layers: readonly LayerSpec[]) =>
  countOp(pass.apply(buildGraph({ ...base, layers }).graph), 'concat_weights');

describe('what merge_qkv leaves alone', () => {
  test('it fires on a plain layer, once', () => expect(mergedIn(mergeQkv, [layer])).toBe(1));
  test('and once in each of two', () => expect(mergedIn(mergeQkv, [layer, planted('dead')])).toBe(2));
  test.each<[string, LayerSpec]>([
    ['a weight with a second reader', planted('shares wq')],
    ['keys that are the values', planted('k is v')],
    ['values from another norm', planted('two norms')],
    ['weights of two formats', { ...layer, attention: ['f32', 'f32', 'f16'] }],
  ])('%s', (_what, left) => expect(mergedIn(mergeQkv, [left])).toBe(0));
});

describe('what merge_gate_up leaves alone', () => {
  test('it fires on a plain layer, once, and in either order of the product', () => {
    expect(mergedIn(mergeGateUp, [layer])).toBe(1);
    expect(mergedIn(mergeGateUp, [planted('swapped'), planted('reads silu', 'reads gate')])).toBe(2);
    expect(mergedIn(mergeGateUp, [planted('gelu')])).toBe(1);
    expect(mergedIn(mergeGateUp, [planted('gelu_tanh')])).toBe(1);
  });
  test.each<[string, LayerSpec]>([
    ['a weight with a second reader', planted('shares gate')],
    ['one projection in both roles', planted('up is gate')],
    ['a product without silu', planted('no silu')],
    ['two ways to take activations', planted('other activations')],
    ['up from another norm', planted('twin norm')],
    ['weights of two formats', { ...layer, gateUp: ['q8_0', 'q4_0'] }],
  ])('%s', (_what, left) => expect(mergedIn(mergeGateUp, [left])).toBe(0));
});
