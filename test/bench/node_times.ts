import type { DType } from '../../src/core/dtype.ts';
import { openModel } from '../../src/engine/load_model.ts';
import type { Batch } from '../../src/exec/executor.ts';
import type { Arena } from '../../src/exec/wasm/arena.ts';
import { arenaStorage } from '../../src/exec/wasm/arena_storage.ts';
import { createFrames } from '../../src/exec/wasm/frame.ts';
import { instantiateKernels } from '../../src/exec/wasm/instantiate.ts';
import { createMachine } from '../../src/exec/wasm/machine.ts';
import { loadPackedWeights, matrixFormats } from '../../src/exec/wasm/packed_weights.ts';
import { createRopeTables } from '../../src/exec/wasm/rope_tables.ts';
import { runNode } from '../../src/exec/wasm/run_node.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import type { RandomShapeName } from '../../src/load/random_shape.ts';
import { createNodeHost, openNodeModel } from '../../src/platform/node.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { randomModel } from './random_model.ts';

const DTYPE: DType = 'q4_0';
/** Positions of the longest prompt. */
const LONGEST = 4096;
const CHUNK = 128;

/** What is timed: `count` tokens after `from` others. */
const STAGES = [
  { name: 'decode, 192 before', from: 192, count: 1 },
  { name: 'decode, 4,000 before', from: 4000, count: 1 },
  { name: 'prompt of 512, its end', from: 512 - CHUNK, count: CHUNK },
  { name: 'prompt of 4,096, its end', from: LONGEST - CHUNK, count: CHUNK },
] as const;
type Stage = (typeof STAGES)[number];

/** Where the time of one token goes, by kind of node. */
export const NODE_TIMES: Section = { name: 'nodes', run: measureNodes };

async function measureNodes({ quick }: Pace): Promise<Table> {
  const shapes: readonly RandomShapeName[] = quick ? ['135m'] : ['135m', '0.5b', '1.2b'];
  const figures: Figure[] = [];
  for (const shape of shapes) figures.push(...(await nodeTimes(shape, quick ? 5 : 12)));
  return {
    title: 'Where one token goes',
    note: `Microseconds per token of models with random weights (${DTYPE}), one thread: a token that is decoded, and the last ${CHUNK} tokens of a prompt. "matrices" are all products with weights, their activations' quantization included; "other rows" norms, rope, residuals, the gate's product and the writes to the cache; "around" is what no node takes: feeds, plan, logits, and the clock that was put around each node.`,
    figures,
  };
}

async function nodeTimes(shape: RandomShapeName, runs: number): Promise<Figure[]> {
  const { run, dispose } = await createTimedExecutor(shape);
  const figures: Figure[] = [];
  for (const stage of STAGES) {
    const samples = new Map<string, number[]>();
    const warmUp = stage.count === 1 ? 3 : 1; // the first runs meet kernels that the compiler has not optimized yet
    for (let i = -warmUp; i < runs; i++) {
      const spans = run(stage);
      if (i < 0) continue;
      for (const [kind, ms] of spans) {
        const list = samples.get(kind) ?? [];
        list.push((1000 * ms) / stage.count);
        samples.set(kind, list);
      }
    }
    for (const [kind, us] of samples) figures.push(figure(`${shape}, ${stage.name}: ${kind}`, 'µs', us));
  }
  dispose();
  return figures;
}

/** The kind of a node in the table. */
function kindOf(op: Graph['nodes'][number]['op']): string {
  if (op === 'linear' || op === 'expert_linear') return 'matrices';
  if (
    op === 'attend_scores' ||
    op === 'softmax' ||
    op === 'attend_mix' ||
    op === 'attend' ||
    op === 'silu' ||
    op === 'swiglu'
  )
    return op;
  return 'other rows';
}

/** The wasm executor's parts, put together as it does it, with a clock around each node. */
async function createTimedExecutor(shape: RandomShapeName) {
  const opened = await openModel(await openNodeModel(await randomModel(shape, DTYPE)));
  const { buildGraph, tensors } = opened.description;
  const graph = optimize(buildGraph('q8'));
  const { kernels, build, arena } = await instantiateKernels(createNodeHost(), 'auto', matrixFormats(graph));
  const weights = await loadPackedWeights(graph, tensors, kernels, arena, {});
  await opened.close();
  const ropes = createRopeTables(graph.ropes, arena);
  const frames = createFrames(graph, arena, build);
  const machine = createMachine({ graph, kernels, weights, ropes });
  const cache = createContiguousCache({ ...graph.kv, elementBytes: 4 }, LONGEST, arenaStorage(arena));
  const sequence = cache.create();
  ropes.reach(LONGEST);
  cache.reserve(sequence, LONGEST);
  fillRows(graph, cache, sequence, arena);

  const run = ({ from, count }: Stage): Map<string, number> => {
    cache.truncate(sequence, 0);
    cache.reserve(sequence, from + count);
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
      const kind = kindOf(graph.nodes[id]!.op);
      spans.set(kind, (spans.get(kind) ?? 0) + ms);
    }
    const nLogits = graph.nodes[graph.output]!.shape[1] as number;
    arena.f32(frame.addresses[graph.output]!, nLogits).slice();
    const all = performance.now() - start;
    return spans.set('around', all - inNodes).set('in all', all);
  };
  return { run, dispose: () => arena.dispose() };
}

/** Puts a normal number into every row of the cache: what lies in fresh memory, zeros, may cost less than a number. */
function fillRows(graph: Graph, cache: KvCache, sequence: KvSequence, arena: Arena): void {
  for (let layer = 0; layer < graph.kv.nLayers; layer++) {
    for (const { kAddress, vAddress, headStride } of cache.runs(sequence, layer)) {
      const nElements = (graph.kv.nKvHeads * headStride) / Float32Array.BYTES_PER_ELEMENT;
      for (const address of [kAddress, vAddress]) arena.f32(address, nElements).fill(CACHED);
    }
  }
}

const CACHED = 0.01;
