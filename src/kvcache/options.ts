import { ConfigError } from '../core/errors.ts';
import type { ScratchFiles } from '../core/host.ts';
import type { KvType } from './coded_rows.ts';
import { type EvictOptions, evictRuleOf } from './evict_options.ts';
import { LANE_POSITIONS } from './layout.ts';
import { type Losses, type LossyOptions, lossesOf } from './lossy_options.ts';

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
  /** How all rows are stored: f32 unless said. A row is rounded when it is written, so that whoever shares it sees the same. */
  readonly type?: KvType | undefined;
}

export interface PagedOptions extends PageOptions {
  readonly kind: 'paged';
  /** Positions that a row sees besides the sinks; a sequence gives up the pages between them. See LossyOptions. */
  readonly window?: number | undefined;
  readonly sinks?: number | undefined;
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

/** Every option that some form has, and what the command line calls it. */
const NAMES = {
  pageSize: 'page-size',
  budget: 'kv-budget',
  type: 'kv-type',
  window: 'window',
  sinks: 'sinks',
  recent: 'kv-recent',
} as const;
type Name = keyof typeof NAMES;

/** The options of each form, and why one may not go with another form; the last words are the next step. */
const OPTIONS: Readonly<Record<KvOptions['kind'], readonly Name[]>> = {
  contiguous: [],
  paged: ['pageSize', 'budget', 'type', 'window', 'sinks'],
  prefix: ['pageSize', 'budget', 'type'],
  tiered: ['pageSize', 'budget', 'type'],
  lossy: ['type', 'window', 'sinks', 'recent'],
  evict: ['budget', 'sinks', 'recent'],
};
const WHY: Readonly<Record<Name, string>> = {
  pageSize: 'is of pages that sequences may share; use --kv paged',
  budget: 'is of pages that sequences may share; use --kv paged',
  type: 'rounds rows where they are; use --kv paged',
  window: 'drops pages, which are not found again; use --kv paged',
  sinks: 'is of a window; use --kv paged',
  recent: 'rounds pages when they are old, which shared ones are not for all; leave out --kv, --page-size, --kv-budget',
};

/**
 * Throws ConfigError naming the option, its value and what it may be: by the names that options have on a command line,
 * "page-size".
 */
export function checkKvOptions(o: KvOptions): void {
  if (!Object.hasOwn(OPTIONS, o.kind)) {
    throw new ConfigError(`kv is ${JSON.stringify(o.kind)}, must be one of ${KV_KINDS.join(', ')}`);
  }
  const given = o as Partial<Record<Name, unknown>>;
  for (const name of Object.keys(NAMES) as Name[]) {
    if (given[name] === undefined || OPTIONS[o.kind].includes(name)) continue;
    const form = o.kind === 'evict' ? 'kv-evict' : `kv ${o.kind}`;
    throw new ConfigError(`${NAMES[name]} ${given[name]} does not go with ${form}: it ${WHY[name]}, or leave it out`);
  }
  if (o.kind === 'evict') evictRuleOf(o);
  else if (o.kind === 'lossy') lossesOf(o);
  else if (o.kind !== 'contiguous') {
    lossesOf({ ...o, kind: 'lossy' });
    checkPages(o);
  }
}

function checkPages({ pageSize: size = DEFAULT_PAGE_SIZE, budget }: PageOptions): void {
  if (!Number.isSafeInteger(size) || size < 1 || size % LANE_POSITIONS !== 0) {
    throw new ConfigError(
      `page-size is ${size}, must be a multiple of ${LANE_POSITIONS}: the keys of ${LANE_POSITIONS} positions lie interleaved`,
    );
  }
  if (budget !== undefined && (!Number.isSafeInteger(budget) || budget < size)) {
    throw new ConfigError(`kv-budget is ${budget} positions, must be a whole number that holds a page of ${size}`);
  }
}

/**
 * Whether the last positions of a sequence can be taken back at no cost, as wrong guesses are: rows that a wrong guess has rounded or
 * given up would have to be computed again, with all others.
 */
export function canTakeBack(o: KvOptions): boolean {
  return o.kind !== 'evict' && !(o.kind === 'lossy' && lossesOf(o).recent > 0);
}

/** What a row sees of its sequence, and how rows are stored; null where it is not said of all rows (`evict`). */
export function lossesIn(o: KvOptions): Losses | null {
  if (o.kind === 'evict') return null;
  return o.kind === 'contiguous' ? NOTHING_LOST : lossesOf({ ...o, kind: 'lossy' });
}

const NOTHING_LOST: Losses = { window: null, type: 'f32', recent: 0 };
