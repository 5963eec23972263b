import fc from 'fast-check';
import { expect } from 'vitest';
import { createStreamDecoder, type StreamOptions } from '../../src/text/stream_decoder.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';

/** Every byte is a token (SPM's names), and a few pieces with spaces and with more than one character. */
const PIECES = ['▁', '▁a', 'ab', 'b▁', 'é', '▁▁', '€x', '<|end|>'];
export const FIRST_BYTE = PIECES.length;
const vocab: Record<string, number> = Object.fromEntries(PIECES.map((piece, id) => [piece, id]));
for (let b = 0; b < 256; b++) vocab[`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`] = FIRST_BYTE + b;
export const spm = createTokenizer({
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

export function streamed(tokenizer: Tokenizer, ids: readonly number[], options?: StreamOptions) {
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
export const hardIds = (maxIds: number) =>
  fc.array(
    fc.oneof(
      fc.nat(PIECES.length - 1),
      hardByte.map((b) => FIRST_BYTE + b),
    ),
    { maxLength: maxIds },
  );

export type Streamed = (
  ids: readonly number[],
  options?: StreamOptions,
) => { pieces: string[]; text: string; stopped: string | null };

/** The pieces are whole characters and join to the decoded text. */
export const joinsToDecode = (maxIds: number, run: Streamed): fc.IProperty<unknown> =>
  fc.property(hardIds(maxIds), (ids) => {
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
/** Of few kinds, so that stop strings come about. */
export const fewIds = (maxIds: number) =>
  fc.array(fc.constantFrom(0, 1, 2, 3, 6, FIRST_BYTE + 0x61, FIRST_BYTE + 0x62, FIRST_BYTE + 0xe2), {
    maxLength: maxIds,
  });
/** The text ends before the first stop string. */
export const stopsAsDefined = (maxIds: number, run: Streamed): fc.IProperty<unknown> =>
  fc.property(fewIds(maxIds), stopStrings, (ids, stop) => {
    const { text, stopped } = run(ids, { stop });
    expect({ text, stopped }).toEqual(cutByDefinition(spm.decode(ids), stop));
  });

/** A stream with a prompt before it goes on where the prompt ended. */
export const continuesPrompt = (maxContext: number, maxIds: number): fc.IProperty<unknown> =>
  fc.property(fewIds(maxContext), hardIds(maxIds), (context, ids) => {
    // Characters that the context left unfinished belong to the stream, so compare beyond whole ones.
    const before = createStreamDecoder(spm);
    const shown = context.map((id) => before.push(id)).join('');
    const { text } = streamed(spm, ids, { context });
    expect(shown + text).toBe(spm.decode([...context, ...ids]));
  });
