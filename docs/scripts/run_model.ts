import type { OpenedModel } from '../../src/engine/load_model.ts';
import { openModel } from '../../src/engine/load_model.ts';
import type { Batch, Executor, Tier } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { type RecordedValue, type Recording, recordRun } from '../../src/exec/record.ts';
import type { Graph } from '../../src/graph/ir.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { openNodeModel } from '../../src/platform/node.ts';

/** A run of one prompt, and all that it computed. */
export interface Run {
  readonly graph: Graph;
  readonly batch: Batch;
  readonly recording: Recording;
  /** As the run left it. */
  readonly cache: KvCache;
}

/** Opens a model (a path, or "embedded"), hands it to `use` and closes it. */
export async function withModel<T>(model: string, use: (opened: OpenedModel) => Promise<T>): Promise<T> {
  const opened = await openModel(await openNodeModel(model));
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

/** An executor of a plain tier over the graph as the architecture states it. */
export async function plainExecutor(
  { description }: OpenedModel,
  tier: Exclude<Tier, 'wasm'>,
  activations: Activations,
): Promise<Executor> {
  const graph = description.buildGraph(activations);
  const weights = await loadWeights(graph, description.tensors);
  return tier === 'naive' ? createNaiveExecutor(graph, weights) : createNaive64Executor(graph, weights);
}

/** `ids` as a new sequence of the cache, from position 0; logits of every position. */
function promptBatch(cache: KvCache, ids: readonly number[]): Batch {
  const sequence = cache.create();
  cache.reserve(sequence, ids.length);
  const rows = Int32Array.from(ids, (_, t) => t);
  return {
    ids: Int32Array.from(ids),
    positions: rows,
    segments: [{ sequence, from: 0, count: ids.length }],
    outRows: rows,
  };
}

/** Runs `ids` alone and keeps every value. */
export function runAll(executor: Executor, ids: readonly number[]): Run {
  const cache = executor.createCache(ids.length);
  const batch = promptBatch(cache, ids);
  return { graph: executor.graph, batch, recording: recordRun(executor, batch, cache), cache };
}

/** A value that the graph must have. */
export function namedValue({ recording }: Run, name: string): RecordedValue {
  const value = recording.values.get(name);
  if (value === undefined) throw new Error(`the run has no value "${name}"`);
  return value;
}
