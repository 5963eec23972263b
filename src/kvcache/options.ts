import { ConfigError } from '../core/errors.ts';
import type { ScratchFiles } from '../core/host.ts';
import { type EvictOptions, evictRuleOf } from './evict_options.ts';
import { LANE_POSITIONS } from './layout.ts';
import { type LossyOptions, lossesOf } from './lossy_options.ts';

/** The forms that give the same bits as `contiguous`, whatever happens to them. */
export const KV_KINDS = ['contiguous', 'paged', 'prefix', 'tiered'] as const;
export type KvKind = (typeof KV_KINDS)[number];

/** Which form a cache has. A closed union: create.ts makes each of them. */
export type KvOptions = ContiguousOptions | PagedOptions | PrefixOptions | TieredOptions | LossyOptions | EvictOptions;

interface CommonOptions {
  /** Fills memory with NaN when it is taken and when it is given back, so that a row that is read and not written shows. */
  readonly debug?: boolean | undefined;
}

export interface ContiguousOptions extends CommonOptions {
  readonly kind: 'contiguous';
}

export const CONTIGUOUS: ContiguousOptions = { kind: 'contiguous' };

/** What all forms made of pages have. */
export interface PageOptions extends CommonOptions {
  /** Positions of one page, a multiple of 16; DEFAULT_PAGE_SIZE unless said. */
  readonly pageSize?: number | undefined;
  /**
   * Positions that all sequences together may hold, in whole pages. Without it, `paged` takes as many as the storage has room
   * for; `prefix`, which keeps pages of the past, as many as four sequences of maxSeq; `tiered`, as one.
   */
  readonly budget?: number | undefined;
}

export interface PagedOptions extends PageOptions {
  readonly kind: 'paged';
}

export interface PrefixOptions extends PageOptions {
  readonly kind: 'prefix';
  /** Pages are found only by caches and sequences with the same salts. */
  readonly salt?: string | undefined;
}

export interface TieredOptions extends PageOptions {
  readonly kind: 'tiered';
  readonly salt?: string | undefined;
  /** Positions that the page file may hold; 16 times the budget unless said. */
  readonly fileBudget?: number | undefined;
  /** Where the page file is made; a model takes its host's. */
  readonly files?: ScratchFiles | string | undefined;
}

/** As small as the layout allows: the most is shared, the least is left empty; neighbours are read as one run anyway. */
export const DEFAULT_PAGE_SIZE = LANE_POSITIONS;

/** Options of the lossy form, and what the command line calls them. */
const LOSSES = [
  ['window', 'window'],
  ['sinks', 'sinks'],
  ['type', 'kv-type'],
  ['recent', 'kv-recent'],
] as const satisfies readonly (readonly [keyof LossyOptions, string])[];

/**
 * Throws ConfigError naming the option, its value and what it may be. `names`: what the options are called where they were
 * given, "page-size" on a command line.
 */
export function checkKvOptions(o: KvOptions): void {
  if (o.kind !== 'lossy' && o.kind !== 'evict' && !KV_KINDS.includes(o.kind)) {
    throw new ConfigError(`kv is ${JSON.stringify((o as KvOptions).kind)}, must be one of ${KV_KINDS.join(', ')}`);
  }
  const { pageSize, budget } = o as PageOptions;
  if (o.kind === 'evict') {
    const other = (['window', 'type'] as const).find(
      (name) => (o as unknown as Partial<LossyOptions>)[name] !== undefined,
    );
    if (other !== undefined) {
      throw new ConfigError(
        `kv-evict keeps rows as they are, wherever they are; leave out ${other === 'type' ? 'kv-type' : other}`,
      );
    }
    if (pageSize !== undefined)
      throw new ConfigError('page-size is for a cache that keeps all rows; leave out kv-evict');
    evictRuleOf(o);
    return;
  }
  if (o.kind === 'lossy') {
    const given = pageSize !== undefined ? 'page-size' : budget !== undefined ? 'kv-budget' : undefined;
    if (given !== undefined)
      throw new ConfigError(`${given} is for a cache that keeps all rows; leave out what forgets or rounds them`);
    lossesOf(o);
    return;
  }
  const loss = LOSSES.find(([name]) => (o as unknown as Record<string, unknown>)[name] !== undefined);
  if (loss !== undefined) {
    throw new ConfigError(`${loss[1]} is for a cache of its own form, kv is ${o.kind}; leave out --kv`);
  }
  if (o.kind === 'contiguous') {
    const given = pageSize !== undefined ? 'page-size' : budget !== undefined ? 'kv-budget' : undefined;
    if (given === undefined) return;
    throw new ConfigError(`${given} is for caches made of pages, kv is contiguous; choose another kv, or leave it out`);
  }
  const size = pageSize ?? DEFAULT_PAGE_SIZE;
  if (!Number.isSafeInteger(size) || size < 1 || size % LANE_POSITIONS !== 0) {
    throw new ConfigError(
      `page-size is ${size}, must be a multiple of ${LANE_POSITIONS}: the keys of ${LANE_POSITIONS} positions lie interleaved`,
    );
  }
  if (budget !== undefined && (!Number.isSafeInteger(budget) || budget < size)) {
    throw new ConfigError(`kv-budget is ${budget} positions, must be a whole number that holds a page of ${size}`);
  }
}
