import type { Tensor } from '../core/tensor.ts';
import type { KvCache } from '../kvcache/cache.ts';
import type { Batch, Executor, Logits } from './executor.ts';

/** Every value of one run, copied. Keys are the names of the trace. */
export interface Recording {
  readonly values: ReadonlyMap<string, RecordedValue>;
  readonly logits: Logits;
}

export interface RecordedValue extends Tensor<Float32Array | Float64Array> {
  readonly op: string;
}

/** Runs `batch` and keeps a copy of every value: as much memory as all activations together. Throws what `run` throws. */
export function recordRun(executor: Executor, batch: Batch, cache: KvCache): Recording {
  const values = new Map<string, RecordedValue>();
  const logits = executor.run(batch, cache, ({ name, op, shape, data }) => {
    values.set(name, { op, shape, data: data.slice() });
  });
  return { values, logits };
}
