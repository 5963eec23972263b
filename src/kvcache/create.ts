import type { KvCache, KvStorage } from './cache.ts';
import { createContiguousCache } from './contiguous.ts';
import { createEvictCache } from './evict.ts';
import { evictRuleOf } from './evict_options.ts';
import type { KvLayout } from './layout.ts';
import { createLossyCache } from './lossy.ts';
import { lossesOf } from './lossy_options.ts';
import { checkKvOptions, type KvOptions } from './options.ts';
import { createPagedCache } from './paged.ts';
import { poisoned } from './poison.ts';
import { createPrefixCache } from './prefix.ts';
import { createTieredCache } from './tiered.ts';

/** A cache of the form that `options` name. Throws ConfigError for options that are wrong. */
export function createKvCache<A extends Float32Array | Float64Array>(
  options: KvOptions,
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
): KvCache<A> {
  checkKvOptions(options);
  const memory = options.debug === true ? poisoned(storage) : storage;
  switch (options.kind) {
    case 'contiguous':
      return createContiguousCache(layout, maxSeq, memory);
    case 'paged':
      return createPagedCache(layout, maxSeq, memory, options);
    case 'prefix':
      return createPrefixCache(layout, maxSeq, memory, options);
    case 'tiered':
      return createTieredCache(layout, maxSeq, memory, options);
    case 'lossy':
      return createLossyCache(layout, maxSeq, memory, lossesOf(options));
    case 'evict':
      return createEvictCache(layout, maxSeq, memory, evictRuleOf(options));
    default:
      return options satisfies never;
  }
}
