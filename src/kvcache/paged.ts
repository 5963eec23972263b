import type { KvCache, KvStorage } from './cache.ts';
import type { KvLayout } from './layout.ts';
import type { PagedOptions } from './options.ts';
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
  return createPageTables(layout, maxSeq, createPagePool(layout, maxSeq, storage, options), 'paged', NOTHING_KEPT)
    .cache;
}

/** A page that no sequence has is free. */
export const NOTHING_KEPT: PageKeeper<never> = {
  keeps: () => false,
  makeRoom: () => false,
  nMoves: 0,
};
