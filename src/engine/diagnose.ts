import { KernelError } from '../core/errors.ts';
import type { Executor, TraceEvent } from '../exec/executor.ts';
import { tensorsOf } from '../exec/load_weights.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { dtypeOf, forEachRows, tensorRows } from '../load/weights.ts';
import { FORMATS } from '../quant/formats.ts';

/**
 * Finds out why logits are not finite and throws a KernelError that names the first cause: a weight that is NaN or
 * infinite in the file, else the first value of the graph that left the finite numbers. Reads the weights again: slow, and
 * only on the way to an error.
 */
export async function throwNonFinite(
  executor: Executor,
  tensors: ReadonlyMap<string, TensorInfo>,
  ids: readonly number[],
): Promise<never> {
  for (const info of tensorsOf(executor.graph, tensors).values()) {
    const found = await firstNonFinite(info);
    if (found !== undefined) {
      throw new KernelError(
        `tensor ${info.name}: element ${found.index} is ${found.value}; the file is damaged, get it again (nothing was sampled)`,
      );
    }
  }
  const event = firstNonFiniteValue(executor, ids);
  const where =
    event === undefined ? 'the logits' : `value ${event.name} (${event.op}), element ${event.index}, is ${event.value}`;
  throw new KernelError(
    `${where}: all weights are finite, so the numbers overflowed; try --activations f32, or compare with --executor naive64`,
  );
}

async function firstNonFinite(info: TensorInfo): Promise<{ index: number; value: number } | undefined> {
  const format = FORMATS[dtypeOf(info)];
  const { rowBytes } = tensorRows(info);
  const width = info.shape.at(-1) ?? 1;
  const row = new Float32Array(width);
  let found: { index: number; value: number } | undefined;
  await forEachRows(info, (bytes, firstRow, nRows) => {
    for (let r = 0; r < nRows && found === undefined; r++) {
      format.unpack(bytes, r * rowBytes, row, 0, width);
      const at = row.findIndex((v) => !Number.isFinite(v));
      if (at >= 0) found = { index: (firstRow + r) * width + at, value: row[at]! };
    }
  });
  return found;
}

/** Runs the ids once more, in a sequence of their own, and watches every value. */
function firstNonFiniteValue(
  executor: Executor,
  ids: readonly number[],
): { name: string; op: string; index: number; value: number } | undefined {
  const cache = executor.createCache(ids.length);
  const sequence = cache.create();
  cache.reserve(sequence, ids.length);
  let found: { name: string; op: string; index: number; value: number } | undefined;
  const watch = ({ name, op, data }: TraceEvent): void => {
    if (found !== undefined) return;
    const index = data.findIndex((v) => !Number.isFinite(v));
    if (index >= 0) found = { name, op, index, value: data[index]! };
  };
  executor.run(
    {
      ids: Int32Array.from(ids),
      positions: Int32Array.from(ids, (_, t) => t),
      segments: [{ sequence, from: 0, count: ids.length }],
      outRows: Int32Array.of(ids.length - 1),
    },
    cache,
    watch,
  );
  cache.release(sequence);
  return found;
}
