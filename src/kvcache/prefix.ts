import { assert, CapacityError, FormatError } from '../core/errors.ts';
import type { KvCache, KvStorage } from './cache.ts';
import type { KvLayout } from './layout.ts';
import { DEFAULT_PAGE_SIZE, type PrefixOptions, type TieredOptions } from './options.ts';
import type { PageFile } from './page_file.ts';
import { createPagePool, type PagePool } from './page_pool.ts';
import { createPageTables, type Page, type PageKeeper } from './page_tables.ts';
import { createPrefixTree } from './prefix_tree.ts';

/** Without a budget, pages of the past would fill all memory there is: as much as this many sequences of maxSeq are kept. */
export const DEFAULT_SEQUENCES = 4;

/**
 * `paged`, and pages can be found again by the ids that their rows came from: a prompt that begins like an earlier one (the
 * same system text, the same conversation so far) takes its pages over instead of computing them. Rows have the same bits
 * however they were computed, so hit or miss makes no difference to a logit.
 *
 * A page that was published stays when its last sequence is gone, until its memory is needed. Its rows never change: a
 * sequence that writes into it gets a copy first.
 */
export function createPrefixCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  options: PrefixOptions,
): KvCache<A> {
  const { pageSize = DEFAULT_PAGE_SIZE } = options;
  const budget = options.budget ?? DEFAULT_SEQUENCES * Math.ceil(maxSeq / pageSize) * pageSize;
  const pool = createPagePool(layout, maxSeq, storage, { ...options, budget });
  return createPrefixTables(layout, maxSeq, pool, options);
}

/** The cache over a pool; with a file, pages that have to leave memory go there first. */
export function createPrefixTables<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  pool: PagePool<A>,
  { kind, salt: cacheSalt = '' }: Pick<PrefixOptions | TieredOptions, 'kind' | 'salt'>,
  file?: PageFile<A>,
): KvCache<A> {
  const { pageSize } = pool;
  const tree = createPrefixTree<A>(pageSize, cacheSalt);
  let nHits = 0;
  let nMisses = 0;
  let nEvicted = 0;
  let nMoves = 0;

  /** A page that is not to be found any more; free where nobody has it. */
  const unname = (page: Page<A>): void => {
    page.isFixed = false;
    const isInFileOnly = page.place === undefined;
    // From now on its rows may change: what the file has of them would be old.
    if (page.nUsers === 0 || !isInFileOnly) file?.forget(page);
    if (page.nUsers > 0 || isInFileOnly) return;
    pool.give(page.place!);
    page.place = undefined;
  };
  const evict = (n: number): number => {
    let nDone = 0;
    for (; nDone < n; nDone++) {
      const node = tree.removeLeast();
      if (node === undefined) break;
      unname(node.page);
    }
    nEvicted += nDone;
    return nDone;
  };
  /** Moves up to n pages to the file, the longest unused first. Gives their number. */
  const putAway = (to: PageFile<A>, n: number, needed: readonly Page<A>[]): number => {
    const candidates = new Set<Page<A>>(tree.pages());
    for (const { pages } of tables()) for (const page of pages) candidates.add(page);
    for (const page of needed) candidates.delete(page);
    const hot = [...candidates].filter((page) => page.place !== undefined);
    hot.sort((a, b) => a.lastUse - b.lastUse);
    let nDone = 0;
    for (const page of hot.slice(0, n)) {
      if (!to.hasRoom && evict(1) === 0) break;
      // What was evicted to make room may have been this very page.
      if (page.place !== undefined) to.putAway(page);
      nDone++;
    }
    if (nDone > 0) nMoves++;
    return nDone;
  };
  const keeper: PageKeeper<A> = {
    keeps: (page) => page.isFixed,
    makeRoom(n, needed) {
      const beyondBudget = pool.nTaken + n - pool.nMost;
      const nMissing = beyondBudget > 0 ? beyondBudget : pool.nTaken + n - pool.nHeld;
      return (file === undefined ? evict(nMissing) : putAway(file, nMissing, needed)) > 0;
    },
    get nMoves() {
      return nMoves;
    },
    bringBack: (page, place) => file?.bringBack(page, place),
    forget: (page) => file?.forget(page),
  };
  const { cache, tableOf, tables, bring, drop } = createPageTables(layout, maxSeq, pool, kind, keeper);
  const { stats } = cache;

  return Object.assign(cache, {
    adoptPrefix(sequence, ids, { salt = '' } = {}) {
      const table = tableOf(sequence);
      assert(table.length === 0, `sequence ${sequence.id} is empty when it adopts a prefix`);
      // The last id is left to compute: its logits are what is wanted.
      const wanted = ids.slice(0, Math.min(ids.length, maxSeq + 1) - 1);
      const adopt = (): void => {
        const found = tree.find(wanted, salt);
        for (const { page } of found) {
          page.nUsers++;
          table.pages.push(page);
        }
        table.length = found.length * pageSize;
        table.nNamed = found.length;
        table.movesSeen = -1;
        try {
          bring(table);
        } catch (e) {
          const isDamaged = e instanceof FormatError;
          // The first page that could not be read, and what hangs on it, are known no more: the rest is computed.
          const lost = isDamaged ? found.find(({ page }) => page.place === undefined) : undefined;
          cache.truncate(sequence, 0);
          if (lost !== undefined) for (const { page } of tree.removeFrom(lost)) unname(page);
          if (lost === undefined && !(e instanceof CapacityError)) throw e;
          if (isDamaged) adopt();
        }
      };
      adopt();
      const nFound = table.length / pageSize;
      nHits += nFound;
      nMisses += Math.floor(Math.max(0, ids.length - 1) / pageSize) - nFound;
      return table.length;
    },
    publish(sequence, ids, { salt = '', priority = 0 } = {}) {
      const table = tableOf(sequence);
      assert(ids.length <= table.length, `sequence ${sequence.id} has rows for the ids that it publishes`);
      const nWhole = Math.floor(ids.length / pageSize);
      if (table.nNamed >= nWhole) return; // a token in the middle of a page
      table.nNamed = nWhole;
      tree.extend(ids, salt, priority, (i, there) => {
        const own = table.pages[i]!;
        if (there === own) return own;
        if (there === undefined) {
          // A page that is known by other ids cannot have a second name.
          if (own.isFixed) return undefined;
          own.isFixed = true;
          return own;
        }
        // Somebody else has computed the same: one of the two is enough.
        there.nUsers++;
        table.pages[i] = there;
        table.runs = [];
        table.movesSeen = -1;
        drop(own);
        return there;
      });
    },
    evict(nPages) {
      const n = evict(nPages);
      pool.trim();
      return n;
    },
    stats() {
      const { pages, ...rest } = stats();
      const nKept = pool.nTaken - pages!.nUsed;
      return {
        ...rest,
        pages: { ...pages!, nKept },
        prefix: { nHits, nMisses, nEvicted, nFindable: tree.nNodes },
        ...(file !== undefined && { file: file.stats }),
      };
    },
    ...(file !== undefined && { dispose: () => file.dispose() }),
  } satisfies Partial<KvCache<A>>);
}
