import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isGlassformerError } from '../../../src/core/errors.ts';
import type { Grammar } from '../../../src/sample/grammar/expression.ts';
import { parseGbnf } from '../../../src/sample/grammar/gbnf.ts';
import { grammarMasks } from '../../../src/sample/grammar/token_masks.ts';
import { tokenTrie } from '../../../src/sample/grammar/token_trie.ts';
import { SUPPORTED_KEYWORDS } from '../../../src/sample/schema/keywords.ts';
import { schemaGrammar } from '../../../src/sample/schema/schema.ts';

/** Whatever is given is a grammar that can be used, or one of the typed errors. */

const bytesOf = (id: number): Uint8Array => Uint8Array.of(id);
const VOCABULARY = { trie: tokenTrie(256, bytesOf), bytesOf };

/** Whether it is a grammar, of which then a few bytes are written. Throws what is no typed error. */
function isUsable(read: () => Grammar): boolean {
  try {
    const text = grammarMasks(read(), VOCABULARY).begin({ endIds: [] });
    for (let n = 0; n < 8 && !text.mustEnd; n++) {
      const { bits } = text.mask();
      const id = Array.from({ length: 256 }, (_, i) => i).find((i) => ((bits[i >> 5]! >>> (i & 31)) & 1) === 1);
      expect(id).toBeDefined();
      text.accept(id!);
    }
    return true;
  } catch (e) {
    if (!isGlassformerError(e)) throw e;
    return false;
  }
}

test('any text', () => {
  const parts = [
    'root',
    ' ::= ',
    '"a"',
    '"',
    '[a-z]',
    '[',
    '^',
    ']',
    '-',
    '\\',
    '\\u00',
    '(',
    ')',
    '|',
    '*',
    '+',
    '?',
    '{',
    '2',
    ',',
    '}',
    '\n',
    ' ',
    '#',
    '.',
    'é',
    '\ud800',
    '<',
    'a ::= ',
    ' a ',
    '\r\n',
    '\0',
  ];
  const pieces = fc.array(fc.constantFrom(...parts), { maxLength: 20 }).map((list) => list.join(''));
  const texts = fc.oneof(
    pieces,
    pieces.map((tail) => `root ::= ${tail}`),
    pieces.map((tail) => `a ::= "b" a | "c"\nroot ::= a ${tail}`),
  );
  let nUsable = 0;
  fc.assert(
    fc.property(texts, (text) => {
      if (isUsable(() => parseGbnf(text))) nUsable++;
    }),
    { seed: 1, numRuns: 3000 },
  );
  expect(nUsable).toBeGreaterThan(50);
});

test('any JSON as a schema', () => {
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(
        null,
        true,
        false,
        0,
        1,
        -1,
        1.5,
        1e308,
        '',
        'string',
        'object',
        '#',
        '#/$defs/a',
        '^a$',
        '(',
        'date',
        'a',
      ),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...SUPPORTED_KEYWORDS, '$defs', 'a'), tie('json'), { maxKeys: 3 }),
      fc.dictionary(
        fc.constantFrom('items', 'anyOf', 'properties', '$defs', 'type', 'minItems', 'maximum'),
        tie('json'),
        { maxKeys: 3 },
      ),
    ),
  }));
  let nUsable = 0;
  fc.assert(
    fc.property(json, (schema) => {
      if (isUsable(() => schemaGrammar(schema))) nUsable++;
    }),
    { seed: 1, numRuns: 3000 },
  );
  expect(nUsable).toBeGreaterThan(50);
});
