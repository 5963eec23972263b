import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { createStreamDecoder, type StreamOptions } from '../../src/text/stream_decoder.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { describeWithFixture, fixture, readFixtureJson } from '../support/fixtures.ts';
import { EMBEDDED_MODEL, ggufTokenizer } from './vocabularies.ts';

/** Every byte is a token (SPM's names), and a few pieces with spaces and with more than one character. */
const PIECES = ['▁', '▁a', 'ab', 'b▁', 'é', '▁▁', '€x', '<|end|>'];
const FIRST_BYTE = PIECES.length;
const vocab: Record<string, number> = Object.fromEntries(PIECES.map((piece, id) => [piece, id]));
for (let b = 0; b < 256; b++) vocab[`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`] = FIRST_BYTE + b;
const spm = createTokenizer({
  tokenizerJson: {
    added_tokens: [{ id: 7, content: '<|end|>', special: true }],
    normalizer: { type: 'Prepend', prepend: '▁' },
    model: { type: 'BPE', vocab, merges: [], byte_fallback: true },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
  },
});

function streamed(tokenizer: Tokenizer, ids: readonly number[], options?: StreamOptions) {
  const stream = createStreamDecoder(tokenizer, options);
  const pieces = ids.map((id) => stream.push(id));
  pieces.push(stream.flush());
  return { pieces, text: pieces.join(''), stopped: stream.stopped };
}

/** Lead bytes, continuation bytes, bytes that are never valid, spaces, and whole pieces: characters cut anywhere. */
const hardByte = fc.constantFrom(
  0x00,
  0x20,
  0x41,
  0x80,
  0xbf,
  0xc0,
  0xc3,
  0xa9,
  0xe2,
  0x82,
  0xac,
  0xed,
  0xa0,
  0xf0,
  0x9f,
  0x98,
  0x80,
  0xf4,
  0x90,
  0xff,
  0xef,
  0xbb,
  0xbf,
  0xbd,
);
const hardIds = fc.array(
  fc.oneof(
    fc.nat(PIECES.length - 1),
    hardByte.map((b) => FIRST_BYTE + b),
  ),
  { maxLength: 30 },
);

type Streamed = (
  ids: readonly number[],
  options?: StreamOptions,
) => { pieces: string[]; text: string; stopped: string | null };

const joinsToDecode = (run: Streamed) =>
  fc.property(hardIds, (ids) => {
    const { pieces, text } = run(ids);
    expect(text).toBe(spm.decode(ids));
    for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
  });

/** What the stop strings should do, by looking at every prefix of the whole text. */
function cutByDefinition(text: string, stops: readonly string[]): { text: string; stopped: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop)).sort((a, b) => b.length - a.length);
    if (ending.length > 0) return { text: text.slice(0, end - ending[0]!.length), stopped: ending[0]! };
  }
  return { text, stopped: null };
}

const stopStrings = fc.array(
  fc.constantFrom('a', 'ab', 'ba', 'aab', 'bab ', ' ', '€', '\uFFFD', 'x a', 'aaa', 'aaab'),
  { maxLength: 3 },
);
const fewIds = fc.array(fc.constantFrom(0, 1, 2, 3, 6, FIRST_BYTE + 0x61, FIRST_BYTE + 0x62, FIRST_BYTE + 0xe2), {
  maxLength: 16,
});
const stopsAsDefined = (run: Streamed) =>
  fc.property(fewIds, stopStrings, (ids, stop) => {
    const { text, stopped } = run(ids, { stop });
    expect({ text, stopped }).toEqual(cutByDefinition(spm.decode(ids), stop));
  });

describe('pieces join to the decoded text', () => {
  test('for any ids, characters cut anywhere', () => {
    fc.assert(
      joinsToDecode((ids) => streamed(spm, ids)),
      { numRuns: 2000 },
    );
  });

  test('and up to the first stop string', () => {
    fc.assert(
      stopsAsDefined((ids, options) => streamed(spm, ids, options)),
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
    expect(fc.check(joinsToDecode(alone), { numRuns: 2000 }).failed).toBe(true);
    expect(fc.check(joinsToDecode(unflushed), { numRuns: 2000 }).failed).toBe(true);
    expect(fc.check(stopsAsDefined(unflushed), { numRuns: 2000 }).failed).toBe(true);
    expect(fc.check(stopsAsDefined(impatient), { numRuns: 2000 }).failed).toBe(true);
  });

  test('a prompt before: the stream goes on where the prompt ended', () => {
    fc.assert(
      fc.property(fewIds, hardIds, (context, ids) => {
        // Characters that the context left unfinished belong to the stream, so compare beyond whole ones.
        const before = createStreamDecoder(spm);
        const shown = context.map((id) => before.push(id)).join('');
        const { text } = streamed(spm, ids, { context });
        expect(shown + text).toBe(spm.decode([...context, ...ids]));
      }),
      { numRuns: 1000 },
    );
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
