import { assert } from '../core/errors.ts';
import type { KvCache, KvStorage } from './cache.ts';
import type { KvLayout } from './layout.ts';
import { DEFAULT_PAGE_SIZE, type PrefixOptions } from './options.ts';
import { createPagePool } from './page_pool.ts';
import { createPageTables, type PageKeeper } from './page_tables.ts';
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
  const tree = createPrefixTree<A>(pageSize, options.salt ?? '');
  let nHits = 0;
  let nMisses = 0;
  let nEvicted = 0;

  const evict = (n: number): number => {
    let nDone = 0;
    for (; nDone < n; nDone++) {
      const node = tree.removeLeast();
      if (node === undefined) break;
      node.page.isFixed = false;
      pool.give(node.page.place);
    }
    nEvicted += nDone;
    return nDone;
  };
  const keeper: PageKeeper<A> = {
    keeps: (page) => page.isFixed,
    makeRoom(n) {
      const beyondBudget = pool.nTaken + n - pool.nMost;
      return evict(beyondBudget > 0 ? beyondBudget : pool.nTaken + n - pool.nHeld) > 0;
    },
  };
  const { cache, tableOf, drop } = createPageTables(layout, maxSeq, pool, 'prefix', keeper);
  const { stats } = cache;

  return Object.assign(cache, {
    adoptPrefix(sequence, ids, { salt = '' } = {}) {
      const table = tableOf(sequence);
      assert(table.length === 0, `sequence ${sequence.id} is empty when it adopts a prefix`);
      // The last id is left to compute: its logits are what is wanted.
      const found = tree.find(ids.slice(0, Math.min(ids.length, maxSeq + 1) - 1), salt);
      for (const { page } of found) {
        page.nUsers++;
        table.pages.push(page);
      }
      table.length = found.length * pageSize;
      table.nNamed = found.length;
      table.runs = [];
      nHits += found.length;
      nMisses += Math.floor(Math.max(0, ids.length - 1) / pageSize) - found.length;
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
      };
    },
  } satisfies Partial<KvCache<A>>);
}
