/** What happens when two neighbours meet: the symbol they become, and how early. Ties go to the leftmost pair. */
export interface Merge {
  readonly rank: number;
  readonly id: number;
}

/** The merge of two neighbouring symbols, null where they do not merge. Ranks are integers from 0 to 2^22 - 1. */
export type MergeRule = (left: number, right: number) => Merge | null;

/** Positions in one word must stay below this, so that rank * MAX_SYMBOLS + position is an exact double (22 + 30 bits). */
const MAX_SYMBOLS = 2 ** 30;

/** Marks a symbol that its left neighbour has swallowed. Symbol ids are never negative. */
const SWALLOWED = -1;

/**
 * Byte-pair encoding: while any neighbours merge, merge the pair of lowest rank, the leftmost one of equals.
 *
 * symbols: ids of one word's characters. The result is a new array. Time O(n log n), memory O(n): a megabyte without a space
 * is one word. Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm 1; the
 * queue of candidate pairs with outdated entries skipped is SentencePiece's.
 */
export function mergeSymbols(symbols: readonly number[], mergeOf: MergeRule): number[] {
  const n = symbols.length;
  if (n < 2) return symbols.slice();
  const ids = Int32Array.from(symbols);
  const next = Int32Array.from(ids, (_, i) => i + 1); // n: none
  const prev = Int32Array.from(ids, (_, i) => i - 1); // -1: none
  const queue = new MinHeap();
  const offer = (i: number) => {
    if (i < 0 || next[i]! >= n) return;
    const merge = mergeOf(ids[i]!, ids[next[i]!]!);
    if (merge !== null) queue.push(merge.rank * MAX_SYMBOLS + i);
  };
  for (let i = 0; i + 1 < n; i++) offer(i);

  while (queue.size > 0) {
    const key = queue.pop();
    const i = key % MAX_SYMBOLS;
    const j = next[i]!;
    if (ids[i] === SWALLOWED || j >= n) continue;
    // The pair may have changed since it was queued: it counts only if it still has the rank it was queued with.
    const merge = mergeOf(ids[i]!, ids[j]!);
    if (merge === null || merge.rank !== (key - i) / MAX_SYMBOLS) continue;
    ids[i] = merge.id;
    ids[j] = SWALLOWED;
    next[i] = next[j]!;
    if (next[j]! < n) prev[next[j]!] = i;
    offer(prev[i]!);
    offer(i);
  }
  return Array.from(ids.filter((id) => id !== SWALLOWED));
}

/** Binary heap of doubles, smallest first. */
class MinHeap {
  private readonly keys: number[] = [];

  get size(): number {
    return this.keys.length;
  }

  push(key: number): void {
    const keys = this.keys;
    let i = keys.length;
    keys.push(key);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[i] = keys[parent]!;
      i = parent;
    }
    keys[i] = key;
  }

  /** The smallest key. The heap must not be empty. */
  pop(): number {
    const keys = this.keys;
    const top = keys[0]!;
    const last = keys.pop()!;
    const n = keys.length;
    if (n === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= last) break;
      keys[i] = keys[child]!;
      i = child;
    }
    keys[i] = last;
    return top;
  }
}
