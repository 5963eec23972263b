/**
 * Indices of an array by falling key, ties by rising index: a total order, so no result depends on how it was sorted.
 * A vocabulary has 150,000 tokens and a nucleus perhaps 50, so only as much is sorted as is asked for.
 */
export interface Ranking {
  readonly size: number;
  /** The index at a rank below `size`; rank 0 has the highest key. */
  at(rank: number): number;
}

type Keys = Float32Array | Float64Array;

/** Ranks that the first question finds, and how many times more than asked for each later one finds. */
const FIRST_RANKS = 64;
const GROWTH = 8;

/**
 * The ranking of `keys`: no NaN, not changed while it is in use.
 * The first r ranks cost O(n + r log r) on keys in random order, and never more than O(n log n).
 */
export function rankingOf(keys: Float64Array): Ranking {
  let head = new Int32Array(0);
  return {
    size: keys.length,
    at(rank) {
      if (rank >= head.length) head = selectTop(keys, Math.max(FIRST_RANKS, GROWTH * rank));
      return head[rank]!;
    },
  };
}

/** The first k indices of the ranking of `keys` (no NaN), in order; all of them when there are fewer. */
export function selectTop(keys: Keys, k: number): Int32Array<ArrayBuffer> {
  const nKept = Math.min(k, keys.length);
  const heap = new Int32Array(nKept);
  if (nKept === 0) return heap;

  // A heap whose root ranks lowest of those kept: each further index is compared with that one alone.
  for (let i = 0; i < nKept; i++) heap[i] = i;
  for (let node = (nKept >> 1) - 1; node >= 0; node--) sink(keys, heap, node, nKept);
  for (let i = nextAbove(keys, nKept, keys[heap[0]!]!); i < keys.length; i = nextAbove(keys, i + 1, keys[heap[0]!]!)) {
    heap[0] = i;
    sink(keys, heap, 0, nKept);
  }

  // Heapsort: the lowest goes to the end, then the lowest of the rest before it.
  for (let end = nKept - 1; end > 0; end--) {
    const lowest = heap[0]!;
    heap[0] = heap[end]!;
    heap[end] = lowest;
    sink(keys, heap, 0, end);
  }
  return heap;
}

/**
 * The first index from `from` on whose key is above `limit`; keys.length for none. At equal keys the one already kept has
 * the lower index, so it stays. On its own, since nearly all the time goes here.
 */
function nextAbove(keys: Keys, from: number, limit: number): number {
  let i = from;
  while (i < keys.length && keys[i]! <= limit) i++;
  return i;
}

function ranksBelow(keys: Keys, a: number, b: number): boolean {
  return keys[a]! < keys[b]! || (keys[a] === keys[b] && a > b);
}

/** Moves heap[node] down to its place among heap[0 .. size); below `node` the heap is in order already. */
function sink(keys: Keys, heap: Int32Array, node: number, size: number): void {
  const sinking = heap[node]!;
  let at = node;
  for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && ranksBelow(keys, heap[child + 1]!, heap[child]!)) child += 1;
    if (!ranksBelow(keys, heap[child]!, sinking)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = sinking;
}
