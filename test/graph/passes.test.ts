import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { optimize, PASSES } from '../../src/graph/passes/index.ts';
import { mergeQkv } from '../../src/graph/passes/merge_qkv.ts';
import { verify } from '../../src/graph/verify.ts';
import { scenarios } from '../support/scenario.ts';
import { changing } from './mutants.ts';
import { expectSameBits, passOrders, RUNS, sameStructure } from './pass_suite.ts';
import { geluGraphs, randomGraphs } from './random_graph.ts';

describe('all passes together', () => {
  test('any choice of them, in any order that keeps what each says of its place, gives the same bits', () => {
    fc.assert(
      fc.property(fc.oneof(randomGraphs, geluGraphs), scenarios, passOrders(PASSES), (random, scenario, order) => {
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

  test('a graph that was optimized can be optimized again', () => {
    fc.assert(
      fc.property(randomGraphs, scenarios, (random, scenario) => {
        const twice = optimize(optimize(random.graph));
        verify(twice);
        expectSameBits(random, random.graph, twice, scenario);
      }),
      { ...RUNS, numRuns: RUNS.numRuns / 2 },
    );
  });

  test('a pass that does not exist cannot be switched off', () => {
    const { graph } = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!;
    expect(() => optimize(graph, ['merge_qvk'])).toThrow(ConfigError);
    expect(() => optimize(graph, ['merge_qvk'])).toThrow(/no pass "merge_qvk"; passes are .*merge_qkv/);
  });
});
