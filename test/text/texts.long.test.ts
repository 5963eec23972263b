import fc from 'fast-check';
import { beforeAll, describe, test } from 'vitest';
import { mergeSymbols } from '../../src/text/bpe.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { mergesAsDefined } from './merges.ts';
import { roundTrips, texts, textsWithoutSpaceSign } from './round_trips.ts';
import { continuesPrompt, joinsToDecode, spm, stopsAsDefined, streamed } from './streams.ts';
import { EMBEDDED_MODEL, ggufTokenizer } from './vocabularies.ts';

/** Texts of up to ten times the length, and forty times as many of them. */
const MAX_PARTS = 400;
const RUNS = { numRuns: 20_000 };

describe('decode(encode(text)) is the text', () => {
  let embedded: Tokenizer;
  beforeAll(async () => {
    embedded = await ggufTokenizer(EMBEDDED_MODEL);
  });

  test('byte-level BPE', () => fc.assert(roundTrips(embedded, texts(MAX_PARTS)), RUNS));
});

describeWithFixture('vocab', 'round trips of real vocabularies', () => {
  test('gpt-2', async () => {
    fc.assert(roundTrips(await ggufTokenizer(fixture('vocab', 'ggml-vocab-gpt-2.gguf')), texts(MAX_PARTS)), RUNS);
  });

  test('llama-spm', async () => {
    const t = await ggufTokenizer(fixture('vocab', 'ggml-vocab-llama-spm.gguf'));
    fc.assert(roundTrips(t, textsWithoutSpaceSign(MAX_PARTS)), RUNS);
  });
});

test('mergeSymbols is the definition of byte-pair encoding', () => {
  fc.assert(mergesAsDefined(150, mergeSymbols), { numRuns: 40_000 });
});

describe('a stream of tokens', () => {
  test('joins to the decoded text', () => {
    fc.assert(
      joinsToDecode(200, (ids) => streamed(spm, ids)),
      { numRuns: 20_000 },
    );
  });

  test('ends before the first stop string', () => {
    fc.assert(
      stopsAsDefined(60, (ids, options) => streamed(spm, ids, options)),
      { numRuns: 40_000 },
    );
  });

  test('goes on where the prompt ended', () => {
    fc.assert(continuesPrompt(60, 100), { numRuns: 20_000 });
  });
});
