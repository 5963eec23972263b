import fc from 'fast-check';
import { type BoundsReport, checkBounds, joinReports } from '../../src/exec/bounds.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { createInterpreter, type OpSet } from '../../src/exec/interpret.ts';
import { NAIVE_OPS } from '../../src/exec/naive.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import { type RandomModel, randomModels } from './random_model.ts';
import { playScenario, type Scenario, scenarios } from './scenario.ts';

/** The naive executor with some of its ops replaced. */
export function executorWith(
  ops: Partial<OpSet<Float32Array>>,
  graph: Graph,
  weights: RandomModel['weights'],
): Executor {
  return createInterpreter({
    tier: 'naive',
    graph,
    weights,
    ops: { ...NAIVE_OPS, ...ops },
    createCache: (maxSeq) => createContiguousCache({ ...graph.kv, elementBytes: 4 }, maxSeq, heapStorage(Float32Array)),
  });
}

/** The bounds of a whole scenario, step by step. */
export function boundsOf(executor: Executor, { weights }: RandomModel, scenario: Scenario): BoundsReport {
  const reports: BoundsReport[] = [];
  playScenario(executor, scenario, (batch, recording, cache) => {
    reports.push(checkBounds({ graph: executor.graph, weights, batch, recording, cache }));
  });
  return joinReports(reports);
}

/** Random models and scenarios as one report. */
export function randomReport(
  ops: Partial<OpSet<Float32Array>>,
  runs: { readonly numRuns: number; readonly seed: number },
  transform: (graph: Graph) => Graph = (graph) => graph,
): BoundsReport {
  const reports: BoundsReport[] = [];
  fc.assert(
    fc.property(randomModels, scenarios, (model, scenario) => {
      reports.push(boundsOf(executorWith(ops, transform(model.graph), model.weights), model, scenario));
    }),
    runs,
  );
  return joinReports(reports);
}
