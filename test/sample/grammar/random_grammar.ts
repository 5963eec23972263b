import fc from 'fast-check';
import { type Expression, type Grammar, repeat, rule, text } from '../../../src/sample/grammar/expression.ts';

/** Characters of one to four bytes, some of which begin with the same bytes. */
export const ALPHABET = ['a', 'b', 'c', 'é', 'è', '€', '😀', '😁'] as const;

const codePoint = (c: string): number => c.codePointAt(0)!;

const characters = fc.subarray([...ALPHABET], { minLength: 1 }).map(
  (set): Expression => ({
    kind: 'chars',
    ranges: set.map((c) => [codePoint(c), codePoint(c)] as const).sort((a, b) => a[0] - b[0]),
  }),
);
const range = fc
  .constantFrom([0x61, 0x63], [0xe0, 0xef], [0x7e, 0x81], [0x7fe, 0x801], [0xfffe, 0x10001], [0x1f600, 0x1f603])
  .map(([a, b]): Expression => ({ kind: 'chars', ranges: [[a!, b!]] }));
const literal = fc.array(fc.constantFrom(...ALPHABET), { maxLength: 3 }).map((list) => text(list.join('')));

/** Reads at least one byte first, so that a rule that is called after it is never called at its own start. */
const solid = fc.oneof(characters, range, fc.constantFrom(...ALPHABET).map(text));

/**
 * Rules 0..n-1; rule i calls later ones anywhere, and any one, itself too, behind a character: no left recursion, much recursion.
 * Every expression has a text: what is recursive has an alternative that is not.
 */
export const randomGrammar: fc.Arbitrary<Grammar> = fc.integer({ min: 1, max: 4 }).chain((nRules) => {
  const body = (i: number): fc.Arbitrary<Expression> => {
    const later = i + 1 < nRules ? [fc.integer({ min: i + 1, max: nRules - 1 }).map((j) => rule(`r${j}`))] : [];
    const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
      expression: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        fc.oneof(literal, solid, ...later),
        fc
          .array(tie('expression'), { minLength: 1, maxLength: 3 })
          .map((items): Expression => ({ kind: 'sequence', items })),
        fc
          .array(tie('expression'), { minLength: 1, maxLength: 3 })
          .map((items): Expression => ({ kind: 'choice', items })),
        fc
          .tuple(tie('expression'), fc.integer({ min: 0, max: 3 }), fc.constantFrom(0, 1, 2, Infinity))
          .map(([item, min, more]) => repeat(item, min, min + more)),
      ),
    }));
    const recursive = fc
      .tuple(solid, fc.integer({ min: 0, max: nRules - 1 }), expression)
      .map(([first, j, rest]): Expression => ({ kind: 'sequence', items: [first, rule(`r${j}`), rest] }));
    return fc.tuple(expression, fc.option(recursive)).map(([plain, again]): Expression => {
      return again === null ? plain : { kind: 'choice', items: [again, plain] };
    });
  };
  return fc
    .tuple(...Array.from({ length: nRules }, (_, i) => body(i)))
    .map((bodies) => ({ origin: 'grammar', root: 'r0', rules: new Map(bodies.map((b, i) => [`r${i}`, b])) }));
});

/** A vocabulary: every byte of the alphabet and its neighbours, halves of characters, several characters, twins, and tokens without bytes. */
export const VOCABULARY: readonly Uint8Array[] = [
  ...['a', 'b', 'c', 'é', '€', '😀', '😁', 'ab', 'abc', 'aé', 'éa', 'bcb', 'aaaa', '😀😀', 'ca', 'cab', 'a'].map((s) =>
    new TextEncoder().encode(s),
  ),
  new Uint8Array(0),
  ...[
    [0xc3],
    [0xa9],
    [0xe2, 0x82],
    [0xac],
    [0xf0],
    [0xf0, 0x9f],
    [0x98, 0x80],
    [0x61, 0xc3],
    [0xa8, 0x62],
    [0xff],
    [0x7f],
  ].map((b) => Uint8Array.from(b)),
  ...Array.from({ length: 8 }, (_, i) => Uint8Array.of(0x7e + i)),
  ' ',
  ' a',
  ' é',
  ' b',
].map((token) => (typeof token === 'string' ? new TextEncoder().encode(token) : token));
