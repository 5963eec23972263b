import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createBuilder } from '../../src/graph/build.ts';
import type { Graph, Node, NodeOf } from '../../src/graph/ir.ts';
import { dropDead } from '../../src/graph/passes/drop_dead.ts';
import { optimize, PASSES } from '../../src/graph/passes/index.ts';
import { lastRowOnly } from '../../src/graph/passes/last_row_only.ts';
import { mergeQkv } from '../../src/graph/passes/merge_qkv.ts';
import type { Pass } from '../../src/graph/passes/pass.ts';
import { graphText } from '../../src/graph/text.ts';
import { verify } from '../../src/graph/verify.ts';
import { firstBitDifference } from '../support/bits.ts';
import { buildModel, type RandomModel, randomModels, usesQuantizedActivations } from '../support/random_model.ts';
import { playScenario, type Scenario, scenarios } from '../support/scenario.ts';

type Transform = (graph: Graph) => Graph;

/** Fails (by assertion) unless `after` computes what the model's own graph computes, under every name that both have. */
function expectSameBits(model: RandomModel, after: Graph, scenario: Scenario): void {
  const run = (graph: Graph) => playScenario(executorOf(graph, model), scenario);
  const before = run(model.graph);
  run(after).forEach(({ values, logits }, step) => {
    let nShared = 0;
    for (const [name, value] of values) {
      const old = before[step]!.values.get(name);
      if (old === undefined) continue;
      nShared++;
      expect(value.shape, `step ${step}, shape of ${name}`).toEqual(old.shape);
      expect(firstBitDifference(value.data, old.data), `step ${step}, first difference in ${name}`).toBe(-1);
    }
    expect(nShared).toBeGreaterThan(0);
    expect(firstBitDifference(logits.data, before[step]!.logits.data), `step ${step}, logits`).toBe(-1);
  });
}

function executorOf(graph: Graph, { weights }: RandomModel): Executor {
  return createNaiveExecutor(graph, weights);
}

/** What is promised of every pass, on one model: verified, idempotent, same bits. */
function passHolds(transform: Transform) {
  return (model: RandomModel, scenario: Scenario): void => {
    const after = transform(model.graph);
    verify(after);
    expect(graphText(transform(after))).toBe(graphText(after));
    expectSameBits(model, after, scenario);
  };
}

function countOp(graph: Graph, op: Node['op']): number {
  return graph.nodes.filter((n) => n.op === op).length;
}

const RUNS = { numRuns: 60, seed: 20 };

/** A pass, whether it fired on a model, and wrong forms of it. */
interface Case {
  readonly pass: Pass;
  readonly fired: (before: Graph, after: Graph) => boolean;
  readonly mutants: Readonly<Record<string, Transform>>;
}

/** The nodes of a kind, changed by hand after the pass. */
function changing<K extends Node['op']>(
  pass: Pass,
  op: K,
  change: (node: NodeOf<K>, graph: Graph) => object,
): Transform {
  return (graph) => {
    const after = pass.apply(graph);
    const nodes = after.nodes.map((n) => (n.op === op ? ({ ...n, ...change(n as NodeOf<K>, after) } as Node) : n));
    return { ...after, nodes };
  };
}

const CASES: readonly Case[] = [
  {
    pass: mergeQkv,
    fired: (before, after) => countOp(after, 'concat_weights') > countOp(before, 'concat_weights'),
    mutants: {
      'slices start one column late': changing(mergeQkv, 'slice', ({ from, inputs, width }, { nodes }) => ({
        from: Math.min(from + 1, (nodes[inputs[0]!]!.shape[1] as number) - width),
      })),
      'all slices start at 0': changing(mergeQkv, 'slice', () => ({ from: 0 })),
      'weights joined in another order': changing(mergeQkv, 'concat_weights', ({ inputs }) => ({
        inputs: [inputs[0]!, inputs[2]!, inputs[1]!],
      })),
      'the merged linear forgets how activations enter': changing(mergeQkv, 'linear', ({ activations, name }) => ({
        activations: name.includes('+') ? (activations === 'q8' ? 'f32' : 'q8') : activations,
      })),
    },
  },
  {
    pass: lastRowOnly,
    fired: (before, after) => after.nodes.length > before.nodes.length,
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
  },
  {
    pass: dropDead,
    fired: (before, after) => after.nodes.length < before.nodes.length,
    mutants: {
      'forgets that a sum has two inputs': (graph) => {
        const after = dropDead.apply(graph);
        return {
          ...after,
          nodes: after.nodes.map((n) => (n.op === 'add' ? { ...n, inputs: [n.inputs[0]!, n.inputs[0]!] } : n)),
        };
      },
      'drops a live node and reads its neighbour': (graph) => {
        const after = dropDead.apply(graph);
        const gone = after.nodes.findIndex((n) => n.op === 'silu' && n.name.includes('ffn'));
        const nodes = after.nodes
          .filter((_, id) => id !== gone)
          .map((n) => ({ ...n, inputs: n.inputs.map((i) => (i >= gone ? i - 1 : i)) }) as Node);
        return { ...after, nodes, output: after.output - 1 };
      },
    },
  },
];

describe.each(CASES.map((c) => [c.pass.name, c] as const))('%s', (_name, { pass, fired, mutants }) => {
  test('keeps every promise, and fired often', () => {
    let nFired = 0;
    let nQuantized = 0;
    const check = passHolds(pass.apply);
    fc.assert(
      fc.property(randomModels, scenarios, (model, scenario) => {
        check(model, scenario);
        if (!fired(model.graph, pass.apply(model.graph))) return;
        nFired++;
        if (usesQuantizedActivations(model)) nQuantized++;
      }),
      RUNS,
    );
    expect(nFired).toBeGreaterThanOrEqual(RUNS.numRuns / 4);
    expect(nQuantized).toBeGreaterThanOrEqual(RUNS.numRuns / 12);
  });

  test.each(Object.entries(mutants))('a mutant is caught: %s', (_what, mutant) => {
    const check = passHolds(mutant);
    expect(fc.check(fc.property(randomModels, scenarios, check), RUNS).failed).toBe(true);
  });
});

test('any choice of passes gives the same bits', () => {
  const subset = fc.subarray(PASSES.map((p) => p.name));
  fc.assert(
    fc.property(randomModels, scenarios, subset, (model, scenario, disabled) => {
      const after = optimize(model.graph, disabled);
      verify(after);
      expectSameBits(model, after, scenario);
    }),
    RUNS,
  );
});

test('optimize runs the listed passes in their order', () => {
  fc.assert(
    fc.property(randomModels, ({ graph }) => {
      const byHand = PASSES.reduce((g, pass) => pass.apply(g), graph);
      expect(graphText(optimize(graph))).toBe(graphText(byHand));
      expect(
        graphText(
          optimize(
            graph,
            PASSES.map((p) => p.name),
          ),
        ),
      ).toBe(graphText(graph));
    }),
    RUNS,
  );
});

test('a pass that does not exist cannot be switched off', () => {
  const { graph } = buildModel(fc.sample(randomModels, { numRuns: 1, seed: 1 })[0]!.spec);
  expect(() => optimize(graph, ['merge_qvk'])).toThrow(ConfigError);
  expect(() => optimize(graph, ['merge_qvk'])).toThrow(
    /no pass "merge_qvk"; passes are merge_qkv, last_row_only, drop_dead/,
  );
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
  const base = fc.sample(randomModels, { numRuns: 1, seed: 1 })[0]!.spec;
  const layer = { attention: ['f32', 'f32', 'f32'] as const, ffn: 'f32' as const };
  const mergedIn = (spec: Partial<RandomModel['spec']>) =>
    countOp(mergeQkv.apply(buildModel({ ...base, ...spec }).graph), 'concat_weights');

  test('it fires on a plain layer, once', () => expect(mergedIn({ layers: [{ ...layer, junk: [] }] })).toBe(1));
  test('and once in each of two', () =>
    expect(
      mergedIn({
        layers: [
          { ...layer, junk: [] },
          { ...layer, junk: ['dead'] },
        ],
      }),
    ).toBe(2));
  test.each([
    ['a weight with a second reader', [{ ...layer, junk: ['shares wq' as const] }]],
    ['keys that are the values', [{ ...layer, junk: ['k is v' as const] }]],
    ['values from another norm', [{ ...layer, junk: ['two norms' as const] }]],
    ['weights of two formats', [{ ...layer, attention: ['f32', 'f32', 'f16'] as const, junk: [] }]],
  ])('%s', (_what, layers) => expect(mergedIn({ layers })).toBe(0));
});
