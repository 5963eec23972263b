import { assert, CapacityError } from '../core/errors.ts';
import type { KvSlab, KvStorage } from './cache.ts';
import { FIRST_CAPACITY } from './contiguous.ts';
import { type KvLayout, LANE_POSITIONS, roundUpToBlock } from './layout.ts';
import { DEFAULT_PAGE_SIZE, type PageOptions } from './options.ts';
import { forEachHead, headStart, type KOrV, slabSize } from './slab.ts';

/**
 * The memory of all sequences, cut into pages. A few chunks, each a slab as `contiguous` has one for a sequence; a place is
 * pageSize positions of it, in all layers. So places that lie next to each other are read as one run, like neighbours
 * within a slab.
 *
 *   chunk 0: layer 0: K of kv head 0: place 0 | place 1 | ... | place 15     K of kv head 1: place 0 | ...
 *   chunk 1: layer 0: K of kv head 0: place 16 | ...
 */
export interface Place<A extends Floats> {
  /** Counts through all chunks; for people. */
  readonly number: number;
  readonly chunk: Chunk<A>;
  /** Its place within the chunk. */
  readonly index: number;
  isFree: boolean;
}

type Floats = Float32Array | Float64Array;

export interface Chunk<A extends Floats> {
  readonly slab: KvSlab<A>;
  /** Positions. */
  readonly capacity: number;
  readonly places: Place<A>[];
}

export interface PagePool<A extends Floats> {
  readonly pageSize: number;
  /** Most places that may be taken; Infinity: as many as the storage has room for. */
  readonly nMost: number;
  readonly nTaken: number;
  /** Places that are held: taken and free ones. */
  readonly nHeld: number;
  readonly nBytes: number;
  /**
   * n free places, in as few stretches as possible, the first ones right behind `behind` where those are free.
   * Throws CapacityError, and takes none, when there are not so many.
   */
  take(n: number, behind?: Place<A>): Place<A>[];
  give(place: Place<A>): void;
  /** Gives chunks of which nothing is taken back to the storage. */
  trim(): void;
  /** Bytes of one page. */
  readonly pageBytes: number;
  /** All its numbers, head after head; into, from: pageBytes. */
  pack(place: Place<A>, into: Uint8Array): void;
  unpack(place: Place<A>, from: Uint8Array): void;
  /** Copies the rows of the first nPositions. */
  copy(from: Place<A>, to: Place<A>, nPositions: number): void;
}

/** A chunk is as large as all before it together, and never larger than this unless one request is: doubling must end. */
const MOST_CHUNK_POSITIONS = 1024;

export function createPagePool<A extends Floats>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  options: PageOptions,
): PagePool<A> {
  const { pageSize = DEFAULT_PAGE_SIZE, budget = Infinity, debug = false } = options;
  assert(pageSize % LANE_POSITIONS === 0, 'a page is whole blocks of interleaved keys');
  const nMost = Math.floor(budget / pageSize);
  let chunks: Chunk<A>[] = [];
  let nTaken = 0;
  let nextNumber = 0;
  const nHeld = (): number => chunks.reduce((n, chunk) => n + chunk.places.length, 0);
  const firstPages = Math.ceil(Math.min(FIRST_CAPACITY, roundUpToBlock(maxSeq)) / pageSize);

  /** The numbers of a place, head after head: views of its slab. */
  const headsOf = ({ chunk, index }: Place<A>): A[] => {
    const view = chunk.slab.view();
    const size = pageSize * layout.headDim;
    const heads: A[] = [];
    forEachHead(layout, chunk.capacity, (start) => {
      heads.push(view.subarray(start + index * size, start + (index + 1) * size) as A);
    });
    return heads;
  };

  /** One more chunk with at least nMissing places. Throws what the storage throws. */
  const grow = (nMissing: number): void => {
    const held = nHeld();
    const comfortable = Math.max(firstPages, Math.min(held, Math.floor(MOST_CHUNK_POSITIONS / pageSize)));
    const nPlaces = Math.min(Math.max(nMissing, comfortable), nMost - held);
    const capacity = nPlaces * pageSize;
    const chunk: Chunk<A> = { slab: storage.alloc(slabSize(layout, capacity)), capacity, places: [] };
    for (let index = 0; index < nPlaces; index++) {
      chunk.places.push({ number: nextNumber++, chunk, index, isFree: true });
    }
    chunks.push(chunk);
  };

  /** Marks up to n places from `index` on, as far as they are free. */
  const takeStretch = (chunk: Chunk<A>, index: number, n: number, into: Place<A>[]): void => {
    for (let i = index; into.length < n && chunk.places[i]?.isFree === true; i++) {
      chunk.places[i]!.isFree = false;
      into.push(chunk.places[i]!);
    }
  };

  return {
    pageSize,
    nMost,
    get nTaken() {
      return nTaken;
    },
    get nHeld() {
      return nHeld();
    },
    get nBytes() {
      return chunks.reduce((n, chunk) => n + chunk.slab.nElements * layout.elementBytes, 0);
    },
    take(n, behind) {
      if (nTaken + n > nMost) {
        throw new CapacityError(
          `kv cache: ${n} more pages of ${pageSize} positions do not fit, ${nTaken} of ${nMost} are in use; ` +
            'raise --kv-budget, or end other sequences',
        );
      }
      const nMissing = nTaken + n - nHeld();
      if (nMissing > 0) grow(nMissing);
      const taken: Place<A>[] = [];
      if (behind !== undefined) takeStretch(behind.chunk, behind.index + 1, n, taken);
      while (taken.length < n) {
        const { chunk, from } = roomiest(chunks, n - taken.length);
        takeStretch(chunk, from, n, taken);
      }
      nTaken += n;
      return taken;
    },
    give(place) {
      assert(!place.isFree, `page ${place.number} is in use`);
      if (debug && storage.isDisposed !== true) {
        for (const head of headsOf(place)) head.fill(Number.NaN);
      }
      place.isFree = true;
      nTaken--;
    },
    trim() {
      const isUnused = (chunk: Chunk<A>): boolean => chunk.places.every((place) => place.isFree);
      for (const chunk of chunks) if (isUnused(chunk)) storage.free(chunk.slab);
      chunks = chunks.filter((chunk) => !isUnused(chunk));
      if (chunks.length === 0) nextNumber = 0;
    },
    pageBytes: slabSize(layout, pageSize) * layout.elementBytes,
    pack(place, into) {
      let at = 0;
      for (const head of headsOf(place)) {
        into.set(new Uint8Array(head.buffer, head.byteOffset, head.byteLength), at);
        at += head.byteLength;
      }
    },
    unpack(place, from) {
      let at = 0;
      for (const head of headsOf(place)) {
        new Uint8Array(head.buffer, head.byteOffset, head.byteLength).set(from.subarray(at, at + head.byteLength));
        at += head.byteLength;
      }
    },
    copy(from, to, nPositions) {
      const used = roundUpToBlock(nPositions) * layout.headDim;
      const target = headsOf(to);
      for (const [i, head] of headsOf(from).entries()) target[i]!.set(head.subarray(0, used) as never);
    },
  };
}

/**
 * Where to begin in the longest stretch of free places: at its start, or in its middle when the place before it belongs to
 * somebody who may want to grow and half of the stretch is enough. So sequences that grow side by side keep long runs.
 */
function roomiest<A extends Floats>(chunks: readonly Chunk<A>[], nWanted: number): { chunk: Chunk<A>; from: number } {
  let best: { chunk: Chunk<A>; from: number; n: number } | undefined;
  for (const chunk of chunks) {
    let from = 0;
    for (let i = 0; i <= chunk.places.length; i++) {
      if (chunk.places[i]?.isFree === true) continue;
      if (i - from > (best?.n ?? 0)) best = { chunk, from, n: i - from };
      from = i + 1;
    }
  }
  assert(best !== undefined, 'there is a free place');
  const half = Math.floor(best.n / 2);
  return best.from > 0 && nWanted <= half ? { chunk: best.chunk, from: best.from + best.n - half } : best;
}

/** Byte address of the first row of K (V) of kv head 0. */
export function placeAddress<A extends Floats>(
  layout: KvLayout,
  pageSize: number,
  { chunk, index }: Place<A>,
  layer: number,
  which: KOrV,
): number {
  const element = headStart(layout, chunk.capacity, layer, which, 0) + index * pageSize * layout.headDim;
  return chunk.slab.address + element * layout.elementBytes;
}
