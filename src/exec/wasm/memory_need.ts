import { CapacityError } from '../../core/errors.ts';
import type { KernelBuild } from '../../core/host.ts';
import type { Graph } from '../../graph/ir.ts';
import { evictPageBytes } from '../../kvcache/evict.ts';
import { bytesPerPosition } from '../../kvcache/layout.ts';
import { lossesOf } from '../../kvcache/lossy_options.ts';
import { mostBytes, mostRows } from '../../kvcache/lossy_size.ts';
import { CONTIGUOUS, DEFAULT_PAGE_SIZE, type KvOptions, lossesIn, type PageOptions } from '../../kvcache/options.ts';
import { heldPositions } from '../../kvcache/page_pool.ts';
import { firstPositions } from '../../kvcache/paged.ts';
import { PAGE_POSITIONS } from '../../kvcache/row_pages.ts';
import { typedPositionBytes } from '../../kvcache/typed_rows.ts';
import { MAX_MEMORY_BYTES } from './arena.ts';
import { scratchBytes, tileBytesOf } from './frame.ts';
import { weightsNeed } from './packed_weights.ts';
import { ropeTableBytes } from './rope_tables.ts';

const F32_BYTES = 4;

/** How long runs may be. */
export interface RunLimits {
  /** Positions that one sequence may have. */
  readonly maxSeq: number;
  /** Tokens of one run. */
  readonly prefillChunk: number;
  /** The form of the cache: a budget says how many positions all sequences together may have. One of maxSeq unless said. */
  readonly kv?: KvOptions;
  /** 1 unless said. */
  readonly nThreads?: number;
}

/** The WASM memory of a model and one sequence of maxSeq positions, in bytes. Known before a weight is read. */
export interface MemoryNeed {
  /** As the weights lie in memory: a format that is unpacked takes more than its file. */
  readonly weightBytes: number;
  /** Keys and values of all positions that the cache holds. */
  readonly cacheBytes: number;
  /** Intermediate values of the longest run, at the end of the context; while loading, the buffers that weights pass through. */
  readonly scratchBytes: number;
  readonly totalBytes: number;
  readonly maxSeq: number;
}

/**
 * graph: after the passes, as it will be run. build: the one that will run; where nobody has asked the host yet, `simd`, which
 * needs a little more.
 */
export function memoryNeed(graph: Graph, limits: RunLimits, build: KernelBuild = 'simd'): MemoryNeed {
  const { maxSeq, prefillChunk, nThreads } = limits;
  const { nBytes: weightBytes, stagingBytes } = weightsNeed(graph);
  const nTokens = Math.min(prefillChunk, maxSeq);
  const { cacheBytes, nRows, tileBytes } = cacheNeed(graph, limits, nTokens);
  const running = scratchBytes(graph, build, nTokens, nRows, nThreads) + tileBytes;
  const scratch = Math.max(stagingBytes, running + ropeTableBytes(graph.ropes, maxSeq));
  const totalBytes = weightBytes + cacheBytes + scratch;
  return { weightBytes, cacheBytes, scratchBytes: scratch, totalBytes, maxSeq };
}

/** Bytes of the cache, rows of the longest sequence, and scratch of rows that are codes. */
function cacheNeed(graph: Graph, { kv, maxSeq }: RunLimits, nTokens: number) {
  const layout = { ...graph.kv, elementBytes: F32_BYTES } as const;
  if (kv?.kind === 'lossy') {
    const losses = lossesOf(kv);
    return {
      cacheBytes: mostBytes(losses, layout, maxSeq, nTokens),
      nRows: mostRows(losses, maxSeq, nTokens),
      tileBytes: losses.type === 'f32' ? 0 : tileBytesOf(graph.kv),
    };
  }
  if (kv?.kind === 'evict') {
    const nRows = Math.min(kv.budget, maxSeq);
    const nPages = Math.ceil(nRows / PAGE_POSITIONS);
    return { cacheBytes: nPages * evictPageBytes(layout, kv.budget < maxSeq), nRows, tileBytes: 0 };
  }
  const { pageSize = DEFAULT_PAGE_SIZE, ...pages } = (kv ?? {}) as PageOptions;
  const { window, type } = lossesIn(kv ?? CONTIGUOUS)!;
  const nRows = mostRows({ window }, maxSeq, nTokens, pageSize);
  // Pages are dropped after those of a run are taken, and taken a chunk at a time.
  const held = (): number => heldPositions(nRows + nTokens, firstPositions(window, maxSeq, { pageSize }), pageSize);
  const budget = pages.budget ?? (window === null ? maxSeq : held());
  const nPositions = Math.ceil(budget / pageSize) * pageSize;
  return {
    cacheBytes: nPositions * typedPositionBytes(layout, type),
    nRows: window === null ? maxSeq : Math.min(maxSeq, nRows),
    tileBytes: type === 'f32' ? 0 : tileBytesOf(graph.kv),
  };
}

/**
 * Throws CapacityError with both numbers when a model and its context are beyond what WASM can address, and says which context
 * would fit. kv: the form of the cache that the need was stated for, whose pages or budget may be what is too large.
 */
export function checkMemoryNeed(
  graph: Graph,
  need: MemoryNeed,
  maxBytes: number = MAX_MEMORY_BYTES,
  kv?: KvOptions,
): void {
  if (need.totalBytes <= maxBytes) return;
  const left = maxBytes - need.weightBytes - need.scratchBytes;
  const layout = { ...graph.kv, elementBytes: F32_BYTES } as const;
  const type = lossesIn(kv ?? CONTIGUOUS)?.type ?? 'f32';
  const positionBytes =
    kv?.kind === 'evict'
      ? evictPageBytes(layout, kv.budget < need.maxSeq) / PAGE_POSITIONS
      : hasPages(kv)
        ? typedPositionBytes(layout, type)
        : bytesPerPosition(layout);
  const room = Math.floor(left / positionBytes);
  throw new CapacityError(
    `the model needs ${need.totalBytes} bytes of wasm memory (${need.weightBytes} for weights, ${need.cacheBytes} for a cache of ` +
      `${cachePositions(need, positionBytes, kv)} positions, ${need.scratchBytes} for scratch), the limit is ${maxBytes}; ${nextStep(need, room, kv)}`,
  );
}

/** A cache of pages may hold more than one sequence, and its last page more than was asked for. */
function cachePositions(need: MemoryNeed, positionBytes: number, kv?: KvOptions): number {
  return hasPages(kv) ? need.cacheBytes / positionBytes : need.maxSeq;
}

function hasPages(kv?: KvOptions): boolean {
  return kv?.kind === 'paged' || kv?.kind === 'prefix' || kv?.kind === 'tiered';
}

/** room: positions whose rows would fit. They are taken in whole pages, and a smaller setting leaves scratch no larger. */
function nextStep(need: MemoryNeed, room: number, kv?: KvOptions): string {
  const { budget, pageSize = pageSizeOf(kv) } = (kv ?? {}) as PageOptions;
  if (room < DEFAULT_PAGE_SIZE) return 'use a smaller model or a smaller format';
  if (pageSize > room && pageSize > pageSizeOf(kv)) {
    return `use a page-size of at most ${Math.floor(room / DEFAULT_PAGE_SIZE) * DEFAULT_PAGE_SIZE}`;
  }
  const fitting = Math.floor(room / pageSize) * pageSize;
  if (fitting < 1) return 'use a smaller model or a smaller format';
  if (budget !== undefined && (kv?.kind !== 'evict' || budget < need.maxSeq)) {
    return `use a kv-budget of at most ${fitting}`;
  }
  return `use --max-seq ${fitting}, or a smaller format`;
}

/** Positions of one page where no size was asked for. A contiguous cache grows by whole blocks, which are as long as the smallest page. */
function pageSizeOf(kv?: KvOptions): number {
  return kv?.kind === 'lossy' || kv?.kind === 'evict' ? PAGE_POSITIONS : DEFAULT_PAGE_SIZE;
}
