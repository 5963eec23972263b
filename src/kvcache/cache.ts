import type { Tensor } from '../core/tensor.ts';
import type { SlidingWindow, Visible } from '../ops/visible.ts';
import type { KvCode, KvType } from './coded_rows.ts';
import type { KvLayout } from './layout.ts';

/**
 * The KV cache: for each sequence, the keys and values of its positions 0 .. length-1, in every layer. It is an argument
 * of a run, never looked up. Rooms use it in this order: reserve (room 5, one call per step), then write (room 7, each
 * layer), then read. A sequence that is no longer needed is released; nothing is released by itself.
 *
 * `contiguous.ts` is the definition; every other form replays the same histories.
 */
export interface KvCache<A extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly layout: KvLayout;
  /** Positions that one sequence may have at most. */
  readonly maxSeq: number;
  /** What a row sees of its sequence: null for everything up to itself. */
  readonly window: SlidingWindow | null;
  /** The format of rows that are rounded; null where all rows are stored as they are. */
  readonly codes: KvCode | null;

  /** A new, empty sequence. Throws CapacityError, and changes nothing, when the storage is too small. */
  create(): KvSequence;
  length(sequence: KvSequence): number;
  /**
   * How many of its positions have no rows any more: 0 in every form that forgets nothing. Whole blocks of LANE_POSITIONS,
   * between the window's sinks and the first position that a later row sees. The rows that are left are numbered without
   * them: what readK, readV and runs give has length - dropped rows, and the newest positions are its last rows.
   */
  dropped(sequence: KvSequence): number;
  /** Makes sure, as far as it can be known, that `count` more positions will fit. Changes no sequence. Throws as reserve does. */
  prepare(sequence: KvSequence, count: number): void;
  /**
   * How many positions one reserve may take: what they see must not depend on how a prompt is cut. Infinity in every form
   * whose rows stay as they are.
   */
  most(sequence: KvSequence): number;
  /**
   * Makes room for `count` more positions: length grows by it, their rows are undefined until written.
   * Throws CapacityError, and changes nothing, when maxSeq or the storage is too small; ConfigError when `count` is not a
   * whole number from 0 on, or above `most`.
   */
  reserve(sequence: KvSequence, count: number): void;
  /** Stores rows of positions from .. from + T - 1. k, v: [T, nKvHeads, headDim]. */
  writeK(sequence: KvSequence, layer: number, from: number, k: A): void;
  writeV(sequence: KvSequence, layer: number, from: number, v: A): void;
  /** A copy of all keys (values) of one layer, [length - dropped, nKvHeads, headDim]. */
  readK(sequence: KvSequence, layer: number): A;
  readV(sequence: KvSequence, layer: number): A;
  /**
   * Where the rows lie, by rising number, for executors whose kernels read them in place, until the next call of reserve,
   * truncate or fork. Kernels also write in place, but only rows of the latest `reserve`: from a fork on, others may be shared,
   * which writeK and writeV know.
   */
  runs(sequence: KvSequence, layer: number): readonly KvRun[];
  /**
   * Forms that choose by attention what they forget: takes what the rows of a run gave to each cached row of a layer, p: [nHeads, T,
   * length - dropped], after the write. Every run must tell it, of all its rows and every layer; kernels add to the `sums` of runs instead.
   */
  attended?(sequence: KvSequence, layer: number, p: Tensor<A>, visible: Visible): void;
  /**
   * Whether it may be cut to `length`: false where a row at that position would see rows that are gone, or changed, since.
   * 0 and the length that it has are always right.
   */
  canTruncate(sequence: KvSequence, length: number): boolean;
  /** Forgets positions from `length` on. Throws ConfigError when the sequence is shorter than that, or cannot be cut there. */
  truncate(sequence: KvSequence, length: number): void;
  /**
   * A second sequence with the same rows; writes to one do not show in the other.
   * Throws CapacityError, and changes nothing, when the storage is too small.
   */
  fork(sequence: KvSequence): KvSequence;
  release(sequence: KvSequence): void;

  /**
   * Forms that find pages again. An empty sequence takes over the rows of the longest beginning of `ids` that is known, in
   * whole pages, and always fewer than all: the last id is left to compute. Gives their number; the sequence's length is it.
   */
  adoptPrefix?(sequence: KvSequence, ids: readonly number[], scope?: PrefixScope): number;
  /**
   * Says which ids the first rows of a sequence, all written, were computed from: whole pages of them can be found from now
   * on. Their rows stay as they are: writes go to a copy. To be called with the same scope every time.
   */
  publish?(sequence: KvSequence, ids: readonly number[], scope?: PrefixScope): void;
  /** Gives up at most nPages pages that no sequence has, those wanted least first. Gives their number. */
  evict?(nPages: number): number;

  /** Forms that have more than memory: removes their file. Nothing but `release` may be called after it. */
  dispose?(): void;
  /** Bytes held now, all sequences together. */
  readonly bytesInUse: number;
  /** What it holds, for people: `inspect --kv` shows it. */
  stats(): KvStats;
}

/** Among whom pages are found again. */
export interface PrefixScope {
  /** Only sequences with the same salt find each other's pages: one for each tenant. */
  readonly salt?: string | undefined;
  /** Pages of higher priority stay longer when memory is needed. 0 unless said; only `publish` looks at it. */
  readonly priority?: number | undefined;
}

/** Counts of one moment. */
export interface KvStats {
  readonly kind: string;
  readonly nSequences: number;
  /** Sum of all lengths: a position that two sequences share counts twice. */
  readonly nPositions: number;
  readonly nBytes: number;
  readonly pages?: PageStats;
  readonly rows?: RowStats;
  readonly prefix?: PrefixStats;
  readonly file?: FileStats;
}

/** What is left of each sequence's rows: of caches that drop or round them. */
export interface RowStats {
  readonly window: SlidingWindow | null;
  readonly type: KvType;
  /** With codes: rows stay f32 until their page is so many positions old; 0: rounded when written. */
  readonly recent: number;
  /** Where rows that are attended to least are given up: how many a sequence may have, and which of them always stay. */
  readonly budget?: { readonly most: number; readonly sinks: number; readonly newest: number };
  readonly sequences: readonly SequenceRows[];
}

export interface SequenceRows {
  readonly sequence: number;
  readonly length: number;
  readonly nPages: number;
  /** Of these pages; who shares one counts all of it. */
  readonly nBytes: number;
  /** Positions from .. until - 1, by rising positions. What lies between two stretches is dropped. */
  readonly kept: readonly { readonly from: number; readonly until: number; readonly type: KvType }[];
}

/** Pages that are in the page file only, how many were written and read so far, and the file's size. */
export interface FileStats {
  readonly nCold: number;
  readonly nWritten: number;
  readonly nRead: number;
  readonly nBytes: number;
}

/** Pages found by adoptPrefix, looked for in vain, given up for lack of memory; and how many could be found now. */
export interface PrefixStats {
  readonly nHits: number;
  readonly nMisses: number;
  readonly nEvicted: number;
  readonly nFindable: number;
}

export interface PageStats {
  /** Positions of one page. */
  readonly size: number;
  /** Pages in memory: held by sequences, by how many of them more than one; the others of the memory that is held. */
  readonly nUsed: number;
  readonly nShared: number;
  readonly nFree: number;
  /** Pages that no sequence has and that are kept to be found again. */
  readonly nKept: number;
  /** Most pages that may be used at the same time; Infinity without a budget. */
  readonly nMost: number;
  /** Copies of shared pages that had to be made before a write. */
  readonly nCopied: number;
  /** Each sequence's pages by number; -1 for one that is not in memory. */
  readonly tables: readonly PageTable[];
}

export interface PageTable {
  readonly sequence: number;
  readonly length: number;
  readonly pages: readonly number[];
  /** Stretches in which they lie: what kernels read at a time. */
  readonly nRuns: number;
}

/** A handle; only the cache that made it knows its rows. */
export interface KvSequence {
  readonly id: number;
}

/** Consecutive rows that lie in one stretch of memory; see layout.ts for what lies where within it. */
export interface KvRun {
  /** How its rows are stored: f32 as layout.ts draws it, anything else as coded_rows.ts does. */
  readonly rows: KvType;
  /** First row, a multiple of LANE_POSITIONS: its position, less the dropped ones before it. */
  readonly from: number;
  readonly count: number;
  /** Byte addresses of the first row's K and V of kv head 0. */
  readonly kAddress: number;
  readonly vAddress: number;
  /** Bytes from one kv head to the next. */
  readonly headStride: number;
  /** Forms with `attended`: byte address of the sums of attend_sums, f32 [nKvHeads, PAGE_POSITIONS]. */
  readonly sums?: number;
}

/**
 * Where a cache keeps its numbers. Naive executors hand in plain arrays; the wasm executor hands in its own memory, so that
 * kernels read the rows where they lie.
 */
export interface KvStorage<A extends Float32Array | Float64Array> {
  /** Throws CapacityError when there is no room. */
  alloc(nElements: number): KvSlab<A>;
  free(slab: KvSlab<A>): void;
  /** True when the memory is gone, with all slabs: a session may outlive its model. */
  readonly isDisposed?: boolean;
}

export interface KvSlab<A extends Float32Array | Float64Array> {
  /** Byte address of element 0. */
  readonly address: number;
  readonly nElements: number;
  /** Taken anew for every use: a memory that grows detaches its views. */
  view(): A;
}
