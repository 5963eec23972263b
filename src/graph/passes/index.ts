import { ConfigError } from '../../core/errors.ts';
import type { Graph } from '../ir.ts';
import { cheapSilu } from './cheap_silu.ts';
import { dropDead } from './drop_dead.ts';
import { foldConstants } from './fold_constants.ts';
import { fuseAttend } from './fuse_attend.ts';
import { fuseGeglu } from './fuse_geglu.ts';
import { fuseNormLinearQuant } from './fuse_norm_linear_quant.ts';
import { fuseResidualNorm } from './fuse_residual_norm.ts';
import { fuseRopeWrite } from './fuse_rope_write.ts';
import { fuseSwiglu } from './fuse_swiglu.ts';
import { hoistRopeTables } from './hoist_rope_tables.ts';
import { lastRowOnly } from './last_row_only.ts';
import { mergeGateUp } from './merge_gate_up.ts';
import { mergeQkv } from './merge_qkv.ts';
import type { Pass } from './pass.ts';
import { pickQuantized } from './pick_quantized.ts';
import { shareCommon } from './share_common.ts';
import { shareConstants } from './share_constants.ts';

/**
 * Every pass, in the order in which it runs, once each, no fixpoint:
 *  1. share_constants    makes equal constants one, so that their readers look equal
 *  2. hoist_rope_tables  the same for rope tables
 *  3. fold_constants     takes away nodes that move nothing, which would hide patterns
 *  4. share_common       what is computed twice, once constants are shared
 *  5. merge_qkv          the three projections as the model wrote them
 *  6. merge_gate_up      the same for the feed-forward's two
 *  7. fuse_attend        after merge_qkv, which finds a layer's projections by its attend_mix
 *  8. fuse_rope_write    after merge_qkv, which walks from a layer's keys back to their projection, and the tables are one
 *  9. last_row_only      leaves the old head behind as dead nodes
 * 10. fuse_swiglu        after merge_gate_up, which finds gate and up by their product; the activation that it leaves behind
 *                        would be a reader that last_row_only does not take rows of
 * 11. fuse_geglu         the same with the other activations
 * 12. fuse_residual_norm after last_row_only, which brings the last layer's sum and norm down to the rows that are wanted
 * 13. drop_dead          since the others leave nodes that nothing reads
 * 14. fuse_norm_linear_quant marks norms by the products that read them in the end
 * 15. pick_quantized     last: it writes on the products that there are then
 */
export const PASSES: readonly Pass[] = [
  shareConstants,
  hoistRopeTables,
  foldConstants,
  shareCommon,
  mergeQkv,
  mergeGateUp,
  fuseAttend,
  fuseRopeWrite,
  lastRowOnly,
  fuseSwiglu,
  fuseGeglu,
  fuseResidualNorm,
  dropDead,
  fuseNormLinearQuant,
  pickQuantized,
];

/** Passes that change the numbers within a stated bound: each runs only where it is named, right before the pass given here. */
export const APPROXIMATE: readonly { readonly pass: Pass; readonly before: string }[] = [
  { pass: cheapSilu, before: 'fuse_swiglu' },
];

/** Which passes run: all of the list, without those in `disabled`, and of these only those in `only`; and those in `approximate`. */
export interface PassChoice {
  readonly disabled?: readonly string[];
  readonly only?: readonly string[] | undefined;
  readonly approximate?: readonly string[];
}

/** The chosen passes, in the list's order. Throws ConfigError for a name that is no pass, or none of its class. */
export function choosePasses({ disabled = [], only, approximate = [] }: PassChoice): readonly Pass[] {
  for (const name of [...disabled, ...(only ?? [])]) {
    if (!PASSES.some((p) => p.name === name)) {
      throw new ConfigError(`there is no pass "${name}"; passes are ${PASSES.map((p) => p.name).join(', ')}`);
    }
  }
  checkApproximate(approximate);
  return PASSES.flatMap((exact) => {
    const isChosen = !disabled.includes(exact.name) && (only === undefined || only.includes(exact.name));
    const bounded = APPROXIMATE.filter(({ pass, before }) => before === exact.name && approximate.includes(pass.name));
    return [...bounded.map(({ pass }) => pass), ...(isChosen ? [exact] : [])];
  });
}

/** Throws ConfigError for a name that is no approximate pass. */
export function checkApproximate(names: readonly string[]): void {
  const known = APPROXIMATE.map(({ pass }) => pass.name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`there is no approximate pass "${unknown}"; approximate passes are ${known.join(', ')}`);
  }
}

/** Runs the chosen passes over a graph. Throws ConfigError for a name that is no pass. */
export function optimize(
  graph: Graph,
  disabled: readonly string[] = [],
  only?: readonly string[],
  approximate: readonly string[] = [],
): Graph {
  return choosePasses({ disabled, only, approximate }).reduce((g, pass) => pass.apply(g), graph);
}
