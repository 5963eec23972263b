import type { Weight } from '../../src/core/tensor.ts';
import type { OpenedModel } from '../../src/engine/load_model.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import type { RecordedValue } from '../../src/exec/record.ts';
import { namedValue, plainExecutor, type Run, runAll } from './run_model.ts';

/** The prompt that the tour follows, and the layer that it looks into. */
export const TOUR_PROMPT = 'Once upon a time';
export const TOUR_LAYER = 0;

export interface Walk {
  readonly opened: OpenedModel;
  readonly ids: readonly number[];
  /** The run of the whole prompt, in the naive tier, logits of every position. */
  readonly run: Run;
  readonly weights: ReadonlyMap<string, Weight>;
  /** The position that is followed: the last one, whose logits choose the next token. */
  readonly at: number;
}

export async function startWalk(opened: OpenedModel): Promise<Walk> {
  const ids = opened.tokenizer.encode(TOUR_PROMPT);
  const executor = await plainExecutor(opened, 'naive', 'q8');
  const run = runAll(executor, ids);
  const weights = await loadWeights(executor.graph, opened.description.tensors);
  return { opened, ids, run, weights, at: ids.length - 1 };
}

/** A value of the tour's layer. */
export function layerValue({ run }: Walk, part: string): RecordedValue {
  return namedValue(run, `blk.${TOUR_LAYER}.${part}`);
}

/** The elements of one row (of the first axis). */
export function rowOf({ shape, data }: RecordedValue, row: number): Float32Array {
  const width = data.length / shape[0]!;
  return (data as Float32Array).subarray(row * width, (row + 1) * width);
}

/** A weight that the model must have. */
export function weightOf({ weights }: Walk, name: string): Weight {
  const weight = weights.get(name);
  if (weight === undefined) throw new Error(`the model has no weight "${name}"`);
  return weight;
}
