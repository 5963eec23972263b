import fc from 'fast-check';
import { expect } from 'vitest';
import type { MergeRule, mergeSymbols } from '../../src/text/bpe.ts';

/** The definition: look at all neighbours, merge the first pair of lowest rank, start again. */
export function mergeByDefinition(symbols: readonly number[], mergeOf: MergeRule): number[] {
  const ids = symbols.slice();
  for (;;) {
    let best: { at: number; rank: number; id: number } | null = null;
    for (let at = 0; at + 1 < ids.length; at++) {
      const merge = mergeOf(ids[at]!, ids[at + 1]!);
      if (merge !== null && (best === null || merge.rank < best.rank)) best = { at, ...merge };
    }
    if (best === null) return ids;
    ids.splice(best.at, 2, best.id);
  }
}

/** A letter as often as any piece, or most merges would be of pairs that no text comes to. */
const side = fc.oneof(fc.nat(2), fc.nat(14));

/** Three letters, pieces of up to four; ranks repeat on purpose, and one piece has several ways to be made. */
const cases = (maxSymbols: number) =>
  fc
    .tuple(
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: maxSymbols }),
      fc.array(fc.tuple(side, side, fc.nat(5)), { maxLength: 30 }),
    )
    .map(([symbols, list]) => {
      const merges = new Map(list.map(([l, r, rank], i) => [`${l} ${r}`, { rank, id: 3 + (i % 12) }]));
      const rule: MergeRule = (l, r) => merges.get(`${l} ${r}`) ?? null;
      return { symbols, rule };
    });

/** `merge` gives what the definition gives. */
export function mergesAsDefined(maxSymbols: number, merge: typeof mergeSymbols): fc.IProperty<unknown> {
  return fc.property(cases(maxSymbols), ({ symbols, rule }) => {
    expect(merge(symbols, rule)).toEqual(mergeByDefinition(symbols, rule));
  });
}
