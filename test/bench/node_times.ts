import type { DType } from '../../src/core/dtype.ts';
import { openModel } from '../../src/engine/load_model.ts';
import type { Batch } from '../../src/exec/executor.ts';
import { arenaStorage } from '../../src/exec/wasm/arena_storage.ts';
import { createFrames } from '../../src/exec/wasm/frame.ts';
import { instantiateKernels } from '../../src/exec/wasm/instantiate.ts';
import { loadPackedWeights, matrixFormats } from '../../src/exec/wasm/packed_weights.ts';
import { createRopeTables } from '../../src/exec/wasm/rope_tables.ts';
import { createMachine, runNode } from '../../src/exec/wasm/run_node.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { createNodeHost, openNodeModel } from '../../src/platform/node.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { randomModel } from './random_model.ts';

const DTYPES: readonly DType[] = ['f32', 'q4_0'];
/** Positions in the cache before the token that is timed. */
const CONTEXT = 256;
const CHUNK = 128;

/** Where the time of one token goes, by kind of node. */
export const NODE_TIMES: Section = { name: 'nodes', run: measureNodes };

async function measureNodes({ quick }: Pace): Promise<Table> {
  const figures: Figure[] = [];
  for (const dtype of DTYPES) figures.push(...(await nodeTimes(dtype, quick ? 5 : 15)));
  return {
    title: 'Where one token goes: a 135M-parameter model',
    note: `Microseconds per decoded token after ${CONTEXT} others, and per token of a prompt chunk of ${CHUNK}; "around" is what no node takes: feeds, plan, logits, and the clock that was put around each node.`,
    figures,
  };
}

async function nodeTimes(dtype: DType, runs: number): Promise<Figure[]> {
  const { run, dispose } = await createTimedExecutor(dtype);
  const figures: Figure[] = [];
  for (const [what, nTokens] of [
    [`${dtype} decode`, 1],
    [`${dtype} prefill`, CHUNK],
  ] as const) {
    const samples = new Map<string, number[]>();
    for (let i = -3; i < runs; i++) {
      const spans = run(nTokens);
      if (i < 0) continue; // the first runs meet kernels that the compiler has not optimized yet
      for (const [kind, ms] of spans) {
        const list = samples.get(kind) ?? [];
        list.push((1000 * ms) / nTokens);
        samples.set(kind, list);
      }
    }
    for (const [kind, us] of samples) figures.push(figure(`${what}: ${kind}`, 'µs', us));
  }
  dispose();
  return figures;
}

/** The wasm executor's parts, put together as it does it, with a clock around each node. */
async function createTimedExecutor(dtype: DType) {
  const opened = await openModel(await openNodeModel(await randomModel('135m', dtype)));
  const { buildGraph, tensors } = opened.description;
  const graph = optimize(buildGraph('q8'));
  const { kernels, build, arena } = await instantiateKernels(createNodeHost(), 'auto', matrixFormats(graph));
  const weights = await loadPackedWeights(graph, tensors, kernels, arena, {});
  await opened.close();
  const ropes = createRopeTables(graph.ropes, arena);
  const frames = createFrames(graph, arena, build);
  const machine = createMachine({ graph, kernels, weights, ropes });
  const cache = createContiguousCache({ ...graph.kv, elementBytes: 4 }, 2 * CONTEXT, arenaStorage(arena));
  const sequence = cache.create();
  const kinds = graph.nodes.map((node) => {
    // "blk.12.ffn_gate" and its like in all layers are one kind.
    return node.op === 'linear' ? `linear ${node.name.replaceAll(/blk\.\d+\./g, '')}` : node.op;
  });
  ropes.reach(2 * CONTEXT);

  const run = (count: number): Map<string, number> => {
    const from = count === 1 ? CONTEXT : 0;
    cache.truncate(sequence, Math.min(cache.length(sequence), from));
    cache.reserve(sequence, from + count - cache.length(sequence));
    const batch: Batch = {
      ids: new Int32Array(count).fill(300),
      positions: Int32Array.from({ length: count }, (_, t) => from + t),
      segments: [{ sequence, from: 0, count }],
      outRows: Int32Array.of(count - 1),
    };
    const spans = new Map<string, number>();
    const start = performance.now();
    const frame = frames.open(batch, cache);
    let inNodes = 0;
    for (const id of machine.steps) {
      if (graph.nodes[id]!.op === 'reshape') continue; // another name for its input
      const before = performance.now();
      runNode(machine, id, frame);
      const ms = performance.now() - before;
      inNodes += ms;
      spans.set(kinds[id]!, (spans.get(kinds[id]!) ?? 0) + ms);
    }
    const nLogits = graph.nodes[graph.output]!.shape[1] as number;
    arena.f32(frame.addresses[graph.output]!, nLogits).slice();
    const all = performance.now() - start;
    return spans.set('around', all - inNodes).set('in all', all);
  };
  // The cache's rows are all written once, so that decoding reads normal numbers.
  run(CHUNK);
  return { run, dispose: () => arena.dispose() };
}
