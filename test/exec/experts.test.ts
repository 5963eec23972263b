import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createWasmExecutor } from '../../src/exec/wasm/executor.ts';
import { graphFromJson, graphToJson } from '../../src/graph/graph_json.ts';
import type { Graph, Node } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { verify } from '../../src/graph/verify.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { expertLinear } from '../../src/ops/expert_linear.ts';
import { boundsOf, executorWith } from '../support/bounds_report.ts';
import { BUILDS, batchOf, firstDifference, HOST, logitsInChunks } from '../support/executors.ts';
import { buildExpertModel, type ExpertModel, type ExpertSpec, expertModels } from '../support/expert_model.ts';
import { scenarios } from '../support/scenario.ts';

/** Mixtures of experts in all tiers, on small models of nothing else. */

const RUNS = { numRuns: 14, seed: 5 };
const SPEC: ExpertSpec = {
  seed: 3,
  dtype: 'q8_0',
  activations: 'q8',
  nExperts: 6,
  nChosen: 2,
  groups: undefined,
  scoring: 'softmax',
  hasBias: false,
  isNormalized: true,
  scale: 1,
  ties: 'none',
  nLayers: 2,
  hiddenDim: 64,
};

/** A wasm tier, given the tensors of its own. Threads share the smallest calls. */
async function wasm({ graph, tensors }: Pick<ExpertModel, 'graph' | 'tensors'>, build = BUILDS[0]!, nThreads = 1) {
  return await createWasmExecutor({ graph, tensors, host: HOST, kernels: build, threads: { nThreads, shareNs: 1 } });
}

const idsOf = (picks: readonly number[]): number[] => picks.map((p) => p % 23);
const someIds = fc.array(fc.nat(), { minLength: 1, maxLength: 12 }).map(idsOf);
const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 });

describe('equal bits', () => {
  /** Of whole runs and of runs in chunks; `change` may make the wasm side wrong. */
  const sameBits = (change: (model: ExpertModel) => Pick<ExpertModel, 'graph' | 'tensors'>) =>
    fc.asyncProperty(expertModels, someIds, cuts, async (model, ids, chunks) => {
      const naive = createNaiveExecutor(model.graph, model.weights);
      const whole = logitsInChunks(naive, ids, []);
      expect(firstDifference(logitsInChunks(naive, ids, chunks), whole), 'naive in chunks').toBeUndefined();
      for (const build of BUILDS) {
        const executor = await wasm(change({ ...model, graph: optimize(model.graph) }), build);
        expect(firstDifference(logitsInChunks(executor, ids, []), whole), build).toBeUndefined();
        expect(firstDifference(logitsInChunks(executor, ids, chunks), whole), `${build} in chunks`).toBeUndefined();
        executor.dispose();
      }
    });

  test('wasm has the bits of naive, for any cut of the prompt', () =>
    fc.assert(
      sameBits((model) => model),
      RUNS,
    ));

  const changed =
    (op: Node['op'], change: (node: Node) => object) =>
    ({ graph, tensors }: ExpertModel) => ({
      tensors,
      graph: { ...graph, nodes: graph.nodes.map((n) => (n.op === op ? ({ ...n, ...change(n) } as Node) : n)) },
    });
  test.each<[string, (model: ExpertModel) => Pick<ExpertModel, 'graph' | 'tensors'>]>([
    ['the matrices of two experts changed over', ({ graph, tensors }) => ({ graph, tensors: swapped(tensors) })],
    ['weights normalized where they are not', changed('expert_weights', () => ({ isNormalized: true }))],
    ['another scale', changed('expert_weights', () => ({ scale: 3 }))],
    ['no groups', changed('choose_experts', () => ({ groups: undefined }))],
    ['scores of another kind', changed('softmax_rows', () => ({ op: 'sigmoid' }))],
  ])('a mutant is caught: %s', async (_what, mutant) => {
    expect((await fc.check(sameBits(mutant), { ...RUNS, endOnFailure: true })).failed).toBe(true);
  });

  test('with threads that share the smallest calls, and with an expert that nobody chose', async () => {
    const model = buildExpertModel(SPEC);
    const ids = idsOf([4, 4, 9, 1, 17, 3, 4, 8, 20, 11]);
    const naive = createNaiveExecutor(model.graph, model.weights);
    const graph = optimize(model.graph);
    const executor = await wasm({ ...model, graph }, BUILDS[0], 2);
    expect(firstDifference(logitsInChunks(executor, ids, [7]), logitsInChunks(naive, ids, []))).toBeUndefined();
    executor.dispose();

    const chosen = new Set<number>();
    const cache = naive.createCache(4);
    const run = batchOf(cache, [{ sequence: cache.create(), ids: [4, 4, 4] }]);
    naive.run(run, cache, ({ name, data }) => {
      if (name === 'blk.0.experts') for (const e of data) chosen.add(e);
    });
    expect(chosen.size).toBe(2); // of 6: the same token three times
  });
});

/** Each stack's first two experts changed over. */
function swapped(tensors: ReadonlyMap<string, TensorInfo>): ReadonlyMap<string, TensorInfo> {
  return new Map(
    [...tensors].map(([name, info]) => {
      if (info.shape.length !== 3 || info.shape[0]! < 2) return [name, info];
      const size = info.nBytes / info.shape[0]!;
      const from = (at: number): number => (at < size ? at + size : at < 2 * size ? at - size : at);
      const bytes = new Uint8Array(info.nBytes);
      const source = {
        ...bufferSource(name, bytes),
        async read(offset: number, into: Uint8Array) {
          const all = new Uint8Array(info.nBytes);
          await info.source.read(0, all);
          into.forEach((_, i) => {
            into[i] = all[from(offset + i)]!;
          });
        },
      };
      return [name, { ...info, source }];
    }),
  );
}

describe('bounds', () => {
  const within = (ops: Parameters<typeof executorWith>[0], seen: Set<string> = new Set()) =>
    fc.property(expertModels, scenarios, ({ graph, weights }, scenario) => {
      const { ops: lines, firstOutside } = boundsOf(executorWith(ops, graph, weights), { weights } as never, scenario);
      expect(firstOutside).toBeUndefined();
      for (const { op } of lines) seen.add(op);
    });
  test('every value of every op lies within its bound', () => {
    const seen = new Set<string>();
    fc.assert(within({}, seen), RUNS);
    for (const op of ['sigmoid', 'softmax', 'choose_experts', 'expert_weights', 'expert_linear', 'expert_linear q8']) {
      expect(seen).toContain(op);
    }
    expect(seen).toContain('expert_sum');
  });
  const roughly = (v: number): number => v * (1 + 2 ** -18);
  test.each<[string, Parameters<typeof executorWith>[0]]>([
    ['a sigmoid of 18 bits', { sigmoid: (x) => ({ ...x, data: x.data.map((v) => roughly(1 / (1 + Math.exp(-v)))) }) }],
    [
      'a sum that forgets its last expert',
      {
        expertSum: (x, w) => {
          const [nRows, nChosen] = w.shape as [number, number];
          const dim = x.shape[1]! / nChosen;
          const data = Float32Array.from({ length: nRows * dim }, (_, i) => {
            const [t, at] = [Math.floor(i / dim), i % dim];
            let sum = 0;
            for (let j = 0; j < nChosen - 1; j++)
              sum += w.data[t * nChosen + j]! * x.data[(t * nChosen + j) * dim + at]!;
            return sum;
          });
          return { shape: [nRows, dim], data };
        },
      },
    ],
    [
      'every slot by the matrix of expert 0',
      {
        expertLinear: (x, w, experts, activations) => {
          const first = { shape: experts.shape, data: experts.data.map(() => 0) };
          return expertLinear(x, w, first, activations);
        },
      },
    ],
  ])('a mutant is caught: %s', (_what, ops) => {
    expect(fc.check(within(ops), { ...RUNS, endOnFailure: true }).failed).toBe(true);
  });
});

describe('the graph', () => {
  test('comes back from its file as it was, optimized or not', () => {
    fc.assert(
      fc.property(expertModels, fc.boolean(), ({ graph }, isOptimized) => {
        const saved = isOptimized ? optimize(graph) : graph;
        verify(saved);
        expect(graphFromJson(JSON.parse(graphToJson(saved)), 'g.json')).toEqual(saved);
      }),
      RUNS,
    );
  });

  const { graph } = buildExpertModel({ ...SPEC, dtype: 'f32', nLayers: 1 });
  const withNode = (name: string, change: object): Graph => ({
    ...graph,
    nodes: graph.nodes.map((node) => (node.name === name ? ({ ...node, ...change } as Node) : node)),
  });
  const idOf = (name: string): number => graph.nodes.findIndex((node) => node.name === name);
  test.each<[string, Graph, RegExp]>([
    ['more experts than there are', withNode('blk.0.experts', { nChosen: 7, shape: ['T', 7] }), /cannot choose 7 of 6/],
    [
      'groups that are not of one size',
      withNode('blk.0.experts', { groups: { count: 4, chosen: 1, scoredBy: 1 } }),
      /6 experts are not 4 groups/,
    ],
    [
      'groups that have too few',
      withNode('blk.0.experts', { groups: { count: 6, chosen: 1, scoredBy: 1 } }),
      /1 of 6 groups of 1 have no 2 experts/,
    ],
    [
      'groups that are scored by more than they have',
      withNode('blk.0.experts', { groups: { count: 3, chosen: 1, scoredBy: 3 } }),
      /a group of 2 has no best 3/,
    ],
    [
      'experts that nobody chose',
      withNode('blk.0.gate', {
        inputs: [idOf('blk.0.ffn_norm'), idOf('blk.0.ffn_gate_exps.weight'), idOf('blk.0.shares')],
      }),
      /input 2 is a tensor, expert_linear takes chosen experts/,
    ],
    [
      'experts chosen among others',
      withNode('blk.0.experts', { inputs: [idOf('blk.0.ffn_norm')] }),
      /has 6 experts, blk\.0\.experts chooses among 20/,
    ],
    [
      'arithmetic on experts',
      withNode('blk.0.silu', { inputs: [idOf('blk.0.experts')], shape: ['T', 2] }),
      /takes a tensor/,
    ],
  ])('%s is refused', (_what, broken, message) => expect(() => verify(broken)).toThrow(message));
});
