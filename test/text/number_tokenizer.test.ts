import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createNumberTokenizer } from '../../src/text/number_tokenizer.ts';
import { createStreamDecoder } from '../../src/text/stream_decoder.ts';

const tokenizer = createNumberTokenizer('folder', 300, [7]);

test('numbers, streamed or at once', () => {
  expect(tokenizer.decode([5, 0, 299])).toBe('5 0 299');
  fc.assert(
    fc.property(fc.array(fc.nat(299)), (ids) => {
      const stream = createStreamDecoder(tokenizer);
      expect(ids.map((id) => stream.push(id)).join('') + stream.flush()).toBe(tokenizer.decode(ids));
    }),
  );
});

test('a text has no tokens, and an id outside the vocabulary no text', () => {
  expect(() => tokenizer.encode('hi')).toThrow(/^folder: has no tokenizer.json, .* give ids \(--ids 1,2,3\), put/);
  for (const id of [-1, 300, 0.5]) {
    expect(() => tokenizer.piece(id)).toThrow(`token id ${id} is not in the vocabulary, which has 300 ids from 0`);
    expect(() => tokenizer.bytes(id)).toThrow(`token id ${id} is not`);
    expect(tokenizer.hasId(id)).toBe(false);
  }
});
