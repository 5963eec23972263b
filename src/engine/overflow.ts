import { ConfigError } from '../core/errors.ts';
import { DEFAULT_SINKS } from '../kvcache/lossy_options.ts';
import type { Session } from './session.ts';

/** What happens when a sequence has no position left: without options it ends, with `finishReason` "context". */
export interface ShiftOptions {
  readonly kind: 'shift';
  /** First ids that are never dropped; DEFAULT_SINKS unless said. */
  readonly sinks?: number | undefined;
}

export interface Shifted {
  readonly ids: readonly number[];
  /** How many were taken out behind the sinks. */
  readonly dropped: number;
}

/**
 * The ids that stay when `ids` are more than maxSeq: the sinks, then the newest. They are dropped in whole steps of half of what is
 * behind the sinks, so that the next few turns drop the same ones and the cache's rows still fit.
 *   dropped = ceil((ids - maxSeq) / step) * step,  step = floor((maxSeq - sinks) / 2)
 * Throws ConfigError when the sinks take more than half of maxSeq.
 */
export function shiftIds(ids: readonly number[], maxSeq: number, { sinks = DEFAULT_SINKS }: ShiftOptions): Shifted {
  if (!Number.isSafeInteger(sinks) || sinks < 0 || 2 * sinks > maxSeq || maxSeq - sinks < 2) {
    throw new ConfigError(
      `overflow: ${sinks} sinks (first tokens that stay), must be a whole number up to half of maxSeq=${maxSeq}; raise --max-seq or keep fewer`,
    );
  }
  if (ids.length <= maxSeq) return { ids, dropped: 0 };
  const step = Math.floor((maxSeq - sinks) / 2);
  const dropped = Math.ceil((ids.length - maxSeq) / step) * step;
  return { ids: [...ids.slice(0, sinks), ...ids.slice(sinks + dropped)], dropped };
}

/**
 * Makes room in a session for `ids`: where they do not fit it is cut back to its sinks, and what stays is to be appended again. Their
 * rows are computed anew at their new positions, so that the bits are those of a sequence that never had the others.
 */
export function makeRoom(session: Session, ids: readonly number[], maxSeq: number, shift: ShiftOptions): Shifted {
  const nKept = Math.min(shift.sinks ?? DEFAULT_SINKS, session.ids.length);
  const shifted = shiftIds([...session.ids, ...ids], maxSeq, shift);
  if (shifted.dropped === 0) return { ids, dropped: 0 };
  session.truncate(nKept);
  return { ids: shifted.ids.slice(nKept), dropped: shifted.dropped };
}
