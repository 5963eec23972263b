import type { Shape } from '../../src/core/shape.ts';
import type { OpenedModel } from '../../src/engine/load_model.ts';
import { openModel } from '../../src/engine/load_model.ts';
import type { Batch, Executor, Logits, Tier } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import type { Graph } from '../../src/graph/ir.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { openNodeModel } from '../../src/platform/node.ts';

/** One value of a run, copied. */
export interface Value {
  readonly op: string;
  readonly shape: Shape;
  readonly data: Float32Array | Float64Array;
}

export interface Run {
  readonly graph: Graph;
  readonly batch: Batch;
  readonly logits: Logits;
  /** Every value of the graph, by name. */
  readonly values: ReadonlyMap<string, Value>;
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
export function promptBatch(cache: KvCache, ids: readonly number[]): Batch {
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
  const values = new Map<string, Value>();
  const logits = executor.run(batch, cache, ({ name, op, shape, data }) => {
    values.set(name, { op, shape, data: data.slice() });
  });
  return { graph: executor.graph, batch, logits, values };
}

/** A value that the graph must have. */
export function namedValue(run: Run, name: string): Value {
  const value = run.values.get(name);
  if (value === undefined) throw new Error(`the run has no value "${name}"`);
  return value;
}
