import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BufferPlan,
  bytesOf,
  cacheStepsOf,
  lastUses,
  NO_BUFFER,
  planBuffers,
  type RunSizes,
  scratchOf,
  stepsOf,
} from '../../src/exec/plan.ts';
import { placesOf } from '../../src/exec/views.ts';
import { attendScratchBytes, RUN_WORDS } from '../../src/exec/wasm/layout.ts';
import { isHalf } from '../../src/graph/halves.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { LANE_POSITIONS } from '../../src/kvcache/layout.ts';
import { randomGraphs } from '../graph/random_graph.ts';
import { batchOf, executorOf } from '../support/executors.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { randomModels } from '../support/random_model.ts';
import { shapeGraph } from '../support/shape_graph.ts';
import { TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

const sizesOf: fc.Arbitrary<RunSizes> = fc.record({ T: fc.nat(5), R: fc.nat(3), attendCells: fc.nat(40) });
/** Of these the kernels say that the output may lie where an input lay (src/exec/wasm/kernels.ts). */
const OVER_INPUT = [
  'softmax',
  'silu',
  'add',
  'mul',
  'rms_norm',
  'residual_norm',
  'rope',
  'swiglu',
  'swiglu_fast',
  'geglu',
  'geglu_tanh',
  'sigmoid',
  'softmax_rows',
];

type Planner = (graph: Graph, sizes: RunSizes) => BufferPlan;

/** No value lies where one lies that is still to be read, except the output of an op on an input that it reads last. */
const keepsWhatIsRead = (plan: Planner) =>
  fc.property(fc.oneof(randomModels, randomGraphs), fc.boolean(), sizesOf, (model, isOptimized, sizes) => {
    const graph = isOptimized ? optimize(model.graph) : model.graph;
    const { offsets, totalBytes } = plan(graph, sizes);
    const last = lastUses(graph);
    const places = placesOf(graph);
    const placed = graph.nodes.flatMap(({ inputs, shape }, id) => {
      if (offsets[id] === NO_BUFFER || places[id]!.root !== id) return [];
      const maker = isHalf(graph, id) ? inputs[0]! : id; // halves of a residual_norm are made when it runs
      const start = offsets[id]!;
      return [{ id, maker, start, end: start + bytesOf(shape, sizes) }];
    });
    for (const { id, maker, start, end } of placed) {
      if (end > totalBytes) return false;
      for (const older of placed) {
        const isOlder = older.maker < maker || (older.maker === maker && older.id < id);
        if (!isOlder || last[older.id]! < maker) continue; // made later, or not read any more
        if (older.end <= start || end <= older.start) continue;
        const isTakenOver = last[older.id] === maker && older.start === start && older.end === end;
        if (!(isTakenOver && OVER_INPUT.includes(graph.nodes[maker]!.op))) return false;
      }
    }
    return true;
  });

describe('the plan of a run', () => {
  test('keeps every value until its last reader is done', () => fc.assert(keepsWhatIsRead(planBuffers)));

  test('one that lays all values over each other, or one over the input of a matrix product, is caught', () => {
    const allAtZero: Planner = (graph, sizes) => {
      const { offsets, totalBytes } = planBuffers(graph, sizes);
      return { offsets: offsets.map((offset) => (offset === NO_BUFFER ? NO_BUFFER : 0)), totalBytes };
    };
    const overMatrixInput: Planner = (graph, sizes) => {
      const { offsets, totalBytes } = planBuffers(graph, sizes);
      const wrong = [...offsets];
      graph.nodes.forEach((node, id) => {
        if (node.op === 'linear') wrong[id] = offsets[node.inputs[0]!]!;
      });
      return { offsets: wrong, totalBytes: 2 * totalBytes };
    };
    for (const mutant of [allAtZero, overMatrixInput])
      expect(fc.check(keepsWhatIsRead(mutant), SEARCH).failed).toBe(true);
  });
});

describe('what planning saves', () => {
  const isHalf = (plan: Planner, graph: Graph, nTokens: number): boolean => {
    const sizes = { T: nTokens, R: 1, attendCells: nTokens * 512 };
    return plan(graph, sizes).totalBytes <= scratchOf(graph, sizes).apart / 2;
  };

  test('a model of the 135M shape: at most half of all values, decoding and reading, before and after the passes', () => {
    const stated = shapeGraph('135m', 'q4_0');
    for (const graph of [stated, optimize(stated)])
      for (const nTokens of [1, 128]) expect(isHalf(planBuffers, graph, nTokens)).toBe(true);
  });

  test('a random graph never takes more than a buffer for each value, the padding of each aside', () => {
    fc.assert(
      fc.property(randomGraphs, sizesOf, ({ graph }, sizes) => {
        const { planned, apart, nValues } = scratchOf(graph, sizes);
        return planned <= apart + 16 * nValues;
      }),
    );
  });

  test('a planner that never uses a place again is caught', () => {
    const neverAgain: Planner = (graph, sizes) => {
      let totalBytes = 0;
      const offsets = planBuffers(graph, sizes).offsets.map((offset, id) => {
        if (offset === NO_BUFFER) return offset;
        totalBytes += bytesOf(graph.nodes[id]!.shape, sizes);
        return totalBytes;
      });
      return { offsets, totalBytes };
    };
    expect(isHalf(neverAgain, optimize(shapeGraph('135m', 'q4_0')), 1)).toBe(false);
  });
});

describe('a run that asks for no logits', () => {
  /** The steps hold every write to the cache and all that these need; each is a write or is needed by another one. */
  const isWhatRowsNeed = (choose: (graph: Graph) => readonly number[]) =>
    fc.property(randomModels, ({ graph }) => {
      const steps = new Set(choose(graph));
      const isWrite = (id: number) => graph.nodes[id]!.op.startsWith('kv_write');
      return stepsOf(graph).every((id) => {
        const isNeeded = isWrite(id) || graph.nodes.some((node, at) => steps.has(at) && node.inputs.includes(id));
        return steps.has(id) === isNeeded;
      });
    });

  test('computes what rows of the cache come from, and nothing else', () => fc.assert(isWhatRowsNeed(cacheStepsOf)));

  test('one that computes everything, or leaves the values out, is caught', () => {
    const noValues = (graph: Graph) => cacheStepsOf(graph).filter((id) => graph.nodes[id]!.op !== 'kv_write_v');
    for (const mutant of [stepsOf, noValues]) expect(fc.check(isWhatRowsNeed(mutant), SEARCH).failed).toBe(true);
  });
});

describe('the scratch of a long prompt', () => {
  const CHUNK = 128;
  const FLOAT_BYTES = 4;

  test('has the score rows of one tile, once: it grows with the positions, never with their square', async () => {
    const model = tinyLlama({ seed: 3, dtype: 'q4_0', config: { maxContext: 2048 } });
    const executor = await executorOf('wasm simd', model, 'q8');
    const cache = executor.createCache(2048);
    const sequence = cache.create();
    const bytesAt = new Map<number, number>();
    for (let at = CHUNK; at <= 2048; at += CHUNK) {
      const ids = new Array<number>(CHUNK).fill(at % TINY_CONFIG.vocab);
      executor.run(batchOf(cache, [{ sequence, ids }]), cache);
      bytesAt.set(at, executor.memory.scratchBytes);
    }
    executor.dispose();
    const group = TINY_CONFIG.nHeads / TINY_CONFIG.nKvHeads;
    const perPosition = attendScratchBytes(CHUNK, TINY_CONFIG.nHeads, group, 1);
    expect(perPosition).toBeLessThan((TINY_CONFIG.nHeads * CHUNK * FLOAT_BYTES) / 8);
    // Besides, what a page table of the cache may take: RUN_WORDS words for each block of positions.
    const perRun = (RUN_WORDS * FLOAT_BYTES) / LANE_POSITIONS;
    for (const n of [512, 1024]) expect(bytesAt.get(2 * n)! - bytesAt.get(n)!).toBe(n * (perPosition + perRun));
  });
});
