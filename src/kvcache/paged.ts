import type { SlidingWindow } from '../ops/visible.ts';
import type { KvCache, KvStorage } from './cache.ts';
import type { KvLayout } from './layout.ts';
import { lossesOf } from './lossy_options.ts';
import { mostRows } from './lossy_size.ts';
import { DEFAULT_PAGE_SIZE, type PagedOptions } from './options.ts';
import { createPagePool } from './page_pool.ts';
import { createPageTables, type PageKeeper } from './page_tables.ts';

/**
 * Sequences as tables of pages: what two of them have in common is there once, and a page that nobody has any more is free
 * for all. The work is in page_tables.ts (who has which page) and page_pool.ts (where pages lie).
 */
export function createPagedCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  options: PagedOptions,
): KvCache<A> {
  const { window } = lossesOf({ ...options, kind: 'lossy' });
  const pool = createPagePool(layout, firstPositions(window, maxSeq, options), storage, options);
  return createPageTables(layout, maxSeq, pool, 'paged', NOTHING_KEPT, window).cache;
}

/** With a window a sequence never has all its pages: the pool begins with as much as the last row sees. */
export function firstPositions(
  window: SlidingWindow | null,
  maxSeq: number,
  { pageSize = DEFAULT_PAGE_SIZE }: Pick<PagedOptions, 'pageSize'>,
): number {
  return mostRows({ window }, maxSeq, 1, pageSize);
}

/** A page that no sequence has is free. */
export const NOTHING_KEPT: PageKeeper<never> = {
  keeps: () => false,
  makeRoom: () => false,
  nMoves: 0,
};
