import { ConfigError } from '../../core/errors.ts';
import type { Graph } from '../ir.ts';
import { dropDead } from './drop_dead.ts';
import { lastRowOnly } from './last_row_only.ts';
import { mergeQkv } from './merge_qkv.ts';
import type { Pass } from './pass.ts';

/**
 * Every pass, in the order in which it runs, once each, no fixpoint:
 *  1. merge_qkv      needs the three projections as the model wrote them
 *  2. last_row_only  leaves the old head behind as dead nodes
 *  3. drop_dead      last, since the others leave nodes that nothing reads
 */
export const PASSES: readonly Pass[] = [mergeQkv, lastRowOnly, dropDead];

/** Runs the listed passes over a graph, without those named in `disabled`. Throws ConfigError for a name that is no pass. */
export function optimize(graph: Graph, disabled: readonly string[] = []): Graph {
  for (const name of disabled) {
    if (!PASSES.some((p) => p.name === name)) {
      throw new ConfigError(`there is no pass "${name}"; passes are ${PASSES.map((p) => p.name).join(', ')}`);
    }
  }
  return PASSES.filter((p) => !disabled.includes(p.name)).reduce((g, pass) => pass.apply(g), graph);
}
