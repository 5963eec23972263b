import { ConfigError } from '../core/errors.ts';
import type { SlidingWindow } from '../ops/visible.ts';
import { KV_TYPES, type KvType } from './coded_rows.ts';

/**
 * The form that changes numbers: rows are forgotten, or rounded, or both. As long as `window` and `recent` cover the whole
 * sequence its bits are those of `contiguous`; rows that are rounded when they are written never are.
 */
export interface LossyOptions {
  readonly kind: 'lossy';
  /** Positions that a row sees, its own included, besides the sinks. Without it, all. */
  readonly window?: number | undefined;
  /** First positions of a sequence that every row sees; DEFAULT_SINKS unless said. Only with a window. */
  readonly sinks?: number | undefined;
  /** How rows are stored: f32 unless said. */
  readonly type?: KvType | undefined;
  /** With a type of codes: pages that are at least so many positions old are rounded, younger ones are f32. 0 unless said: all. */
  readonly recent?: number | undefined;
  readonly debug?: boolean | undefined;
}

/** A model sends the attention that it has no use for to its first positions: without a few of them a window ruins the text. */
export const DEFAULT_SINKS = 4;

/** What a cache gives up for memory. Each changes numbers, and none of them by how a prompt is cut into runs. */
export interface Losses {
  readonly window: SlidingWindow | null;
  readonly type: KvType;
  readonly recent: number;
}

/** Throws ConfigError naming the option, its value and what it may be. */
export function lossesOf({ window, sinks, type = 'f32', recent = 0 }: LossyOptions): Losses {
  if (!KV_TYPES.includes(type)) {
    throw new ConfigError(`kv-type is ${JSON.stringify(type)}, must be one of ${KV_TYPES.join(', ')}`);
  }
  if (window !== undefined) count('window', window, 1);
  if (sinks !== undefined) count('sinks', sinks, 0);
  count('kv-recent', recent, 0);
  if (window === undefined && sinks !== undefined) {
    throw new ConfigError(`sinks is ${sinks}, but nothing is forgotten; say --window N, or leave it out`);
  }
  if (type === 'f32' && recent > 0) {
    throw new ConfigError(
      `kv-recent is ${recent}, but rows are kept in f32; say --kv-type q8_0 or q4_0, or leave it out`,
    );
  }
  return { window: window === undefined ? null : { size: window, sinks: sinks ?? DEFAULT_SINKS }, type, recent };
}

function count(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new ConfigError(`${name} is ${value}, must be a whole number from ${least} on`);
  }
}
