import { assert } from '../core/errors.ts';
import type { Weight } from '../core/tensor.ts';
import type { KvCache } from '../kvcache/cache.ts';
import type { Batch, Executor } from './executor.ts';
import { type Check, checksOf } from './node_bounds.ts';
import { recordRun } from './record.ts';
import { type RecordedRun, recordedInputs } from './recorded_inputs.ts';

/**
 * Law 4: every recorded value of an f32 run against the float64 op on the same recorded inputs, element by element, within
 * the bound that follows from the op's order of operations (op_bounds.ts, row_bounds.ts). Nothing is propagated from one op
 * to the next, so each line of the report speaks of one op alone, and an op that is slightly wrong is found where it stands.
 */
export interface BoundsReport {
  /** By op, in order of first appearance. */
  readonly ops: readonly OpBounds[];
  /** The first element, in the graph's order, that lies outside its bound; undefined when all lie within. */
  readonly firstOutside: OutsideBound | undefined;
}

export interface OpBounds {
  /** An op of the graph. A linear with quantized activations is two lines: "activations q8" for their rounding, "linear q8". */
  readonly op: string;
  readonly nValues: number;
  /** Largest error / bound: at most 1 when all lie within; Infinity where a value or its bound is not finite. */
  readonly worstRatio: number;
  /** Largest |value - exact|; NaN once a value is. */
  readonly worstError: number;
}

export interface OutsideBound {
  readonly op: string;
  /** Of the recorded value; of the linear, for its rounded activations. */
  readonly name: string;
  /** Flat index of the element. */
  readonly index: number;
  readonly value: number;
  readonly exact: number;
  readonly bound: number;
}

/** Runs `batch` on an f32 executor and checks what it gave. Throws what `run` throws. */
export function boundedRun(
  executor: Executor,
  weights: ReadonlyMap<string, Weight>,
  batch: Batch,
  cache: KvCache,
): BoundsReport {
  const recording = recordRun(executor, batch, cache);
  return checkBounds({ graph: executor.graph, weights, batch, recording, cache });
}

/**
 * Checks a recorded run. An element lies within its bound when |value - exact| <= bound and the bound is finite: NaN,
 * infinities and values that came near the end of f32's range never do.
 *
 * Attention is given the recorded rows of this run, and the cache's for earlier ones: check a run before the next begins.
 */
export function checkBounds(run: RecordedRun): BoundsReport {
  const inputs = recordedInputs(run);
  const ops = new Map<string, OpBounds>();
  let firstOutside: OutsideBound | undefined;
  for (const node of run.graph.nodes) {
    for (const check of checksOf(node, inputs)) {
      const { line, outside } = compare(check);
      ops.set(check.op, addLines(ops.get(check.op), line));
      firstOutside ??= outside;
    }
  }
  return { ops: [...ops.values()], firstOutside };
}

/** Several runs of one model as one report: the worst of each op, and the first element outside. */
export function joinReports(reports: readonly BoundsReport[]): BoundsReport {
  const ops = new Map<string, OpBounds>();
  for (const line of reports.flatMap((r) => r.ops)) ops.set(line.op, addLines(ops.get(line.op), line));
  return { ops: [...ops.values()], firstOutside: reports.find((r) => r.firstOutside !== undefined)?.firstOutside };
}

function compare({ op, name, values, exact, bound }: Check): { line: OpBounds; outside: OutsideBound | undefined } {
  assert(values.length === exact.length, `${name} has the ${exact.length} elements that its op gives`);
  let worstRatio = 0;
  let worstError = 0;
  let outside: OutsideBound | undefined;
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(values[i]! - exact[i]!);
    const isWithin = error <= bound[i]! && bound[i]! < Infinity;
    const ratio = error === 0 ? 0 : error / bound[i]!; // a bound of 0 is kept by an error of 0
    worstRatio = Math.max(worstRatio, isWithin || ratio > 1 ? ratio : Infinity);
    worstError = Math.max(worstError, error); // keeps NaN
    if (!isWithin) outside ??= { op, name, index: i, value: values[i]!, exact: exact[i]!, bound: bound[i]! };
  }
  return { line: { op, nValues: values.length, worstRatio, worstError }, outside };
}

function addLines(a: OpBounds | undefined, b: OpBounds): OpBounds {
  if (a === undefined) return b;
  return {
    op: a.op,
    nValues: a.nValues + b.nValues,
    worstRatio: Math.max(a.worstRatio, b.worstRatio),
    worstError: Math.max(a.worstError, b.worstError),
  };
}
