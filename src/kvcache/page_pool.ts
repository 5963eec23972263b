import { assert, CapacityError } from '../core/errors.ts';
import type { KvSlab, KvStorage } from './cache.ts';
import type { KvType } from './coded_rows.ts';
import { FIRST_CAPACITY } from './contiguous.ts';
import { type KvLayout, LANE_POSITIONS, roundUpToBlock } from './layout.ts';
import { DEFAULT_PAGE_SIZE, type PageOptions } from './options.ts';
import { NAN_BYTE } from './poison.ts';
import type { KOrV, RowRange } from './slab.ts';
import { bytesOf, typedPositionBytes, typedRows } from './typed_rows.ts';

/**
 * The memory of all sequences, cut into pages. A few chunks, each a slab as `contiguous` has one for a sequence; a place is
 * pageSize positions of it, in all layers. So places that lie next to each other are read as one run, like neighbours
 * within a slab.
 *
 *   chunk 0: layer 0: K of kv head 0: place 0 | place 1 | ... | place 15     K of kv head 1: place 0 | ...
 *   chunk 1: layer 0: K of kv head 0: place 16 | ...
 *
 * All rows are of one type; a place of codes is as many positions in fewer bytes.
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
  /** Of all rows. */
  readonly type: KvType;
  /** Bytes of one position of one kv head. */
  readonly rowBytes: number;
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
  /** Place <- array, array <- place: rows of one layer, their positions counted from the place's first. */
  put(place: Place<A>, rows: A, range: RowRange): void;
  get(place: Place<A>, rows: A, range: RowRange): void;
  /** Byte address of the row of K (V) of kv head 0 at a position of the place, a multiple of 16. */
  addressOf(place: Place<A>, layer: number, which: KOrV, position: number): number;
  /** Bytes from one kv head to the next. */
  headStride(place: Place<A>): number;
}

/** A chunk is as large as all before it together, and never larger than this unless one request is: doubling must end. */
const MOST_CHUNK_POSITIONS = 1024;

export function createPagePool<A extends Floats>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  options: PageOptions,
): PagePool<A> {
  const { pageSize = DEFAULT_PAGE_SIZE, budget = Infinity, debug = false, type = 'f32' } = options;
  assert(pageSize % LANE_POSITIONS === 0, 'a page is whole blocks of interleaved keys');
  const format = typedRows(layout, type);
  const { rowBytes } = format;
  const nMost = Math.floor(budget / pageSize);
  let chunks: Chunk<A>[] = [];
  let nTaken = 0;
  let nextNumber = 0;
  const nHeld = (): number => chunks.reduce((n, chunk) => n + chunk.places.length, 0);
  const firstPages = firstChunk(maxSeq, pageSize);

  /** The bytes of a place, head after head: views of its slab. */
  const headsOf = ({ chunk, index }: Place<A>): Uint8Array[] => {
    const bytes = bytesOf(chunk.slab.view());
    const size = pageSize * rowBytes;
    return format
      .headStarts(chunk.capacity)
      .map((start) => bytes.subarray(start + index * size, start + (index + 1) * size));
  };

  /** One more chunk with at least nMissing places. Throws what the storage throws. */
  const grow = (nMissing: number): void => {
    const held = nHeld();
    const nPlaces = Math.min(Math.max(nMissing, nextChunk(held, firstPages, pageSize)), nMost - held);
    const capacity = nPlaces * pageSize;
    const chunk: Chunk<A> = { slab: storage.alloc(format.elements(capacity)), capacity, places: [] };
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
    type,
    rowBytes,
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
        for (const head of headsOf(place)) head.fill(NAN_BYTE);
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
    pageBytes: pageSize * typedPositionBytes(layout, type),
    pack(place, into) {
      let at = 0;
      for (const head of headsOf(place)) {
        into.set(head, at);
        at += head.length;
      }
    },
    unpack(place, from) {
      let at = 0;
      for (const head of headsOf(place)) {
        head.set(from.subarray(at, at + head.length));
        at += head.length;
      }
    },
    copy(from, to, nPositions) {
      const used = roundUpToBlock(nPositions) * rowBytes;
      const target = headsOf(to);
      for (const [i, head] of headsOf(from).entries()) target[i]!.set(head.subarray(0, used));
    },
    put({ chunk, index }, rows, range) {
      format.put(chunk.slab.view(), chunk.capacity, rows, { ...range, at: index * pageSize + range.at });
    },
    get({ chunk, index }, rows, range) {
      format.get(chunk.slab.view(), chunk.capacity, rows, { ...range, at: index * pageSize + range.at });
    },
    addressOf: ({ chunk, index }, layer, which, position) =>
      chunk.slab.address + format.headStart(chunk.capacity, layer, which, 0) + (index * pageSize + position) * rowBytes,
    headStride: ({ chunk }) => chunk.capacity * rowBytes,
  };
}

function firstChunk(maxSeq: number, pageSize: number): number {
  return Math.ceil(Math.min(FIRST_CAPACITY, roundUpToBlock(maxSeq)) / pageSize);
}

/** Pages of the next chunk, where no more are missing. */
function nextChunk(nHeld: number, firstPages: number, pageSize: number): number {
  return Math.max(firstPages, Math.min(nHeld, Math.floor(MOST_CHUNK_POSITIONS / pageSize)));
}

/** Positions that a pool without a budget holds when up to nPositions are taken. */
export function heldPositions(nPositions: number, maxSeq: number, pageSize: number): number {
  const firstPages = firstChunk(maxSeq, pageSize);
  let nHeld = 0;
  while (nHeld * pageSize < nPositions) nHeld += nextChunk(nHeld, firstPages, pageSize);
  return nHeld * pageSize;
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
