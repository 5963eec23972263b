import fc from 'fast-check';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { HARD_TEXTS } from './vocabularies.ts';

/** Any text: ASCII, all planes, combining marks, lone surrogates; of at most `maxParts` characters, or of as many hard parts. */
export function texts(maxParts: number): fc.Arbitrary<string> {
  const hardPart = fc.constantFrom(
    ' ',
    '\n',
    '\t',
    'a',
    '1',
    "'s",
    'é',
    '\u0301',
    '漢',
    '😀',
    '\u{10ffff}',
    '\ud800',
    '\udc00',
    '\ufeff',
    '<',
  );
  return fc.oneof(
    fc.string({ unit: 'binary', maxLength: maxParts }),
    fc.string({ unit: 'grapheme', maxLength: maxParts }),
    fc.array(hardPart, { maxLength: maxParts }).map((parts) => parts.join('')),
    fc.constantFrom(...HARD_TEXTS),
  );
}

/** Texts without "▁", which SPM vocabularies read as a space. */
export function textsWithoutSpaceSign(maxParts: number): fc.Arbitrary<string> {
  return texts(maxParts).filter((text) => !text.includes('▁'));
}

/** decode(encode(text)) is the text, with each lone surrogate as U+FFFD. Throws plainly: `expect` would take most of the time. */
export function roundTrips(
  t: Tokenizer,
  given: fc.Arbitrary<string>,
  decode: (ids: number[]) => string = (ids) => t.decode(ids),
): fc.IProperty<unknown> {
  return fc.property(given, (text) => {
    const expected = text.replace(/\p{Surrogate}/gu, '\uFFFD');
    const got = decode(t.encode(text));
    if (got !== expected) throw new Error(`${JSON.stringify(expected)} comes back as ${JSON.stringify(got)}`);
  });
}
