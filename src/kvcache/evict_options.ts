import { ConfigError } from '../core/errors.ts';
import { LANE_POSITIONS } from './layout.ts';

/**
 * The form that keeps the rows which were attended to most. As long as `budget` covers the whole sequence its bits are those of
 * `contiguous`.
 */
export interface EvictOptions {
  readonly kind: 'evict';
  /** What rows are kept by. One rule so far. */
  readonly by: 'importance';
  /** Rows that a sequence holds at most. */
  readonly budget: number;
  /** First positions that always stay; DEFAULT_PROTECTED unless said. */
  readonly sinks?: number | undefined;
  /** Newest positions that always stay; half of the budget unless said. */
  readonly recent?: number | undefined;
  readonly debug?: boolean | undefined;
}

export const EVICT_RULES = ['importance'] as const;

/** A model sends the attention that it has no use for to its first positions. */
const DEFAULT_PROTECTED = 4;

/** Rows that are given up at once: a run takes at most so many positions beyond the budget, and matrix kernels want several. */
export const EVICTED_AT_ONCE = LANE_POSITIONS;

export interface EvictRule {
  readonly budget: number;
  readonly sinks: number;
  readonly recent: number;
}

/** Throws ConfigError naming the option, its value and what it may be. */
export function evictRuleOf({ by, budget, sinks, recent }: EvictOptions): EvictRule {
  if (!EVICT_RULES.includes(by)) {
    throw new ConfigError(`kv-evict is ${JSON.stringify(by)}, must be ${EVICT_RULES.join(' or ')}`);
  }
  const least = EVICTED_AT_ONCE + 1;
  if (budget === undefined) throw new ConfigError('kv-evict says what to forget, but not when; say --kv-budget N too');
  if (!Number.isSafeInteger(budget) || budget < least) {
    throw new ConfigError(`kv-budget is ${budget} positions, must be a whole number from ${least} on with kv-evict`);
  }
  const rule = {
    budget,
    sinks: sinks ?? Math.min(DEFAULT_PROTECTED, budget - least),
    recent: recent ?? Math.floor((budget - EVICTED_AT_ONCE) / 2),
  };
  for (const [name, value] of [
    ['sinks', rule.sinks],
    ['kv-recent', rule.recent],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new ConfigError(`${name} is ${value}, must be a whole number from 0 on`);
    }
  }
  if (rule.sinks + rule.recent > budget - EVICTED_AT_ONCE) {
    throw new ConfigError(
      `sinks ${rule.sinks} and kv-recent ${rule.recent} always stay, of a kv-budget of ${budget}; ` +
        `they must leave ${EVICTED_AT_ONCE} rows to choose from`,
    );
  }
  return rule;
}
