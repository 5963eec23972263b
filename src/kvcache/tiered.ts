import { UnsupportedError } from '../core/errors.ts';
import type { KvCache, KvStorage } from './cache.ts';
import type { KvLayout } from './layout.ts';
import { DEFAULT_PAGE_SIZE, type TieredOptions } from './options.ts';
import { createPageFile } from './page_file.ts';
import { createPagePool } from './page_pool.ts';
import { createPrefixTables } from './prefix.ts';

/** A page file may hold so many times what memory may, unless said. */
const DEFAULT_FILE_TIMES = 16;

/**
 * `prefix`, and a page that has to leave memory goes to a file instead of being lost: pages of idle sequences, and pages that
 * are kept to be found again. It comes back with the same bits when its sequence is used, or when it is found. So memory holds
 * what runs, and the file what waits.
 *
 *   memory (budget):       a b | c d e          least recently used first out
 *   page file (fileBudget): f | g h i j k ...   checksums in memory
 */
export function createTieredCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  options: TieredOptions,
): KvCache<A> {
  const { pageSize = DEFAULT_PAGE_SIZE, files } = options;
  if (files === undefined || typeof files === 'string') {
    throw new UnsupportedError(`kv tiered: ${files ?? 'no place for its page file was given'}; choose another kv`);
  }
  // One longest sequence, and the page that it copies when its last one is shared.
  const budget = options.budget ?? (Math.ceil(maxSeq / pageSize) + 1) * pageSize;
  const fileBudget = options.fileBudget ?? DEFAULT_FILE_TIMES * budget;
  const pool = createPagePool(layout, maxSeq, storage, { ...options, budget });
  const file = createPageFile(pool, files, Math.floor(fileBudget / pageSize));
  return createPrefixTables(layout, maxSeq, pool, { kind: 'tiered', salt: options.salt }, file);
}
