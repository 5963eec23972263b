import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { createStreamDecoder } from '../../src/text/stream_decoder.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { describeWithFixture, fixture, readFixtureJson } from '../support/fixtures.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { continuesPrompt, FIRST_BYTE, joinsToDecode, type Streamed, spm, stopsAsDefined, streamed } from './streams.ts';
import { EMBEDDED_MODEL, ggufTokenizer } from './vocabularies.ts';

/** Ids in a stream: of any kind, and of the few kinds that stop strings are made of. */
const HARD = 30;
const FEW = 16;

describe('pieces join to the decoded text', () => {
  test('for any ids, characters cut anywhere', () => {
    fc.assert(
      joinsToDecode(HARD, (ids) => streamed(spm, ids)),
      { numRuns: 2000 },
    );
  });

  test('and up to the first stop string', () => {
    fc.assert(
      stopsAsDefined(FEW, (ids, options) => streamed(spm, ids, options)),
      { numRuns: 2000 },
    );
  });

  test('mutants are caught: decoding each token alone, forgetting to flush, not holding back', () => {
    const alone: Streamed = (ids) => {
      const pieces = ids.map((id) => new TextDecoder().decode(spm.bytes(id)));
      return { pieces, text: pieces.join(''), stopped: null };
    };
    const unflushed: Streamed = (ids, options) => {
      const all = streamed(spm, ids, options);
      return { ...all, text: all.pieces.slice(0, -1).join('') };
    };
    const impatient: Streamed = (ids, options) => {
      const stream = createStreamDecoder(spm, {});
      let text = '';
      for (const id of ids) {
        const piece = stream.push(id);
        const hit = (options?.stop ?? []).find((stop) => piece.includes(stop));
        if (hit !== undefined) return { pieces: [], text: text + piece.slice(0, piece.indexOf(hit)), stopped: hit };
        text += piece;
      }
      return { pieces: [], text: text + stream.flush(), stopped: null };
    };
    expect(fc.check(joinsToDecode(HARD, alone), SEARCH).failed).toBe(true);
    expect(fc.check(joinsToDecode(HARD, unflushed), SEARCH).failed).toBe(true);
    expect(fc.check(stopsAsDefined(FEW, unflushed), SEARCH).failed).toBe(true);
    expect(fc.check(stopsAsDefined(FEW, impatient), SEARCH).failed).toBe(true);
  });

  test('a prompt before: the stream goes on where the prompt ended', () => {
    fc.assert(continuesPrompt(FEW, HARD), { numRuns: 1000 });
  });
});

describe('the rules, one by one', () => {
  const byte = (b: number) => FIRST_BYTE + b;

  test('half a character is never given out', () => {
    const stream = createStreamDecoder(spm);
    expect([0xf0, 0x9f, 0x98].map((b) => stream.push(byte(b)))).toEqual(['', '', '']);
    expect(stream.push(byte(0x80))).toBe('😀');
    expect(stream.push(byte(0xe2))).toBe('');
    expect(stream.flush()).toBe('\uFFFD');
    expect(stream.flush()).toBe('');
  });

  test('a byte order mark is text', () => {
    expect(streamed(spm, [byte(0xef), byte(0xbb), byte(0xbf)]).text).toBe('\uFEFF');
  });

  test('the leading space goes at the start of a text, also after special tokens, and stays after a prompt', () => {
    expect(streamed(spm, [1, 1]).text).toBe('a a');
    expect(streamed(spm, [7, 1]).text).toBe('a');
    expect(streamed(spm, [1], { context: [7] }).text).toBe('a');
    expect(streamed(spm, [1], { context: [2] }).text).toBe(' a');
    expect(streamed(spm, [5]).text).toBe(' ');
  });

  test('a stop string across tokens; what could begin one waits', () => {
    const stream = createStreamDecoder(spm, { stop: ['aab'] });
    expect([1, byte(0x61)].map((id) => stream.push(id))).toEqual(['', '']);
    expect(stream.push(byte(0x61))).toBe('a'); // "aaa": the first cannot be part of it any more
    expect(stream.stopped).toBe(null);
    expect(stream.push(byte(0x62))).toBe('');
    expect(stream.stopped).toBe('aab');
    expect(stream.push(1)).toBe('');
    expect(stream.flush()).toBe('');
  });

  test('stop strings that can never be found, and ids outside the vocabulary, are refused', () => {
    expect(() => createStreamDecoder(spm, { stop: [''] })).toThrow(ConfigError);
    expect(() => createStreamDecoder(spm, { stop: ['\ud800'] })).toThrow(ConfigError);
    expect(() => createStreamDecoder(spm).push(100_000)).toThrow(ConfigError);
    expect(() => createStreamDecoder(spm).push(-1)).toThrow(ConfigError);
    expect(() => createStreamDecoder(spm).push(1.5)).toThrow(ConfigError);
  });
});

describeWithFixture('stories260k', 'stories260k', () => {
  test('its golden ids after the start token give its golden text, byte for byte', async () => {
    const tokenizer = await ggufTokenizer(fixture('stories260k', 'stories260K-f32.gguf'));
    const golden = readFixtureJson<{ prompt_ids: number[]; ids: number[] }>('stories260k', 'golden-greedy.json');
    const expected = readFileSync(fixture('stories260k', 'golden-greedy.txt'));
    for (const { text } of [
      streamed(tokenizer, [...golden.prompt_ids, ...golden.ids]),
      streamed(tokenizer, golden.ids, { context: golden.prompt_ids }),
    ]) {
      expect(Buffer.from(text, 'utf8').equals(expected)).toBe(true);
    }
  });
});

describe('the embedded vocabulary', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await ggufTokenizer(EMBEDDED_MODEL);
  });

  test('any ids at all', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1023), { maxLength: 40 }), (ids) => {
        expect(streamed(tokenizer, ids).text).toBe(tokenizer.decode(ids));
      }),
    );
  });
});
