import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { readCharsmap } from './charsmap.ts';
import type { Json } from './tokenizer_json.ts';

/** SentencePiece's stand-in for a space. */
export const MARK = '▁';

/**
 * A text as SentencePiece's Unigram models see it: replacements of the charsmap, then spaces.
 *
 *   remove_extra_whitespaces   runs of spaces are one space, and none is at either end
 *   add_dummy_prefix           a space before the text
 *   "▁" for each space         "  Hello  world " -> "▁Hello▁world"
 *
 * Fields as in its normalizer_spec; precompiled_charsmap is a Uint8Array, null where there is none; ConfigError for anything else.
 * Source: google/sentencepiece normalizer.cc.
 */
export function sentencePieceNormalizer(json: Json): (text: string) => string {
  const bytes = json['precompiled_charsmap'];
  if (bytes !== null && !(bytes instanceof Uint8Array)) {
    throw new ConfigError('tokenizer: normalizer "SentencePiece" is of GGUF files; tokenizer.json has "Precompiled"');
  }
  const charsmap = bytes === null ? null : readCharsmap(bytes);
  const merges = json['remove_extra_whitespaces'] === true;
  const prefix = json['add_dummy_prefix'] === true ? MARK : '';
  return (text) => {
    let out = charsmap === null ? text : charsmap.rewrite(text);
    if (merges) out = out.replace(/ {2,}/g, ' ').replace(/^ /, '');
    if (out === '') return '';
    out = prefix + out.replaceAll(' ', MARK);
    if (!merges) return out;
    let end = out.length; // marks at the end go, be they spaces or marks of the text
    while (end > 0 && out[end - 1] === MARK) end--;
    return out.slice(0, end);
  };
}

/** In bytes of UTF-8: graphemes from here on are replaced character by character. Source: tokenizers, normalizers/precompiled.rs. */
const LONG_GRAPHEME = 6;

/**
 * The "Precompiled" step of tokenizer.json: the same table, read as Hugging Face's code reads it. It looks at graphemes where
 * SentencePiece takes the longest key at each place, and replaces the whole grapheme by what its shortest key stands for.
 *
 * Throws ConfigError for a table that is damaged, UnsupportedError where the host cannot cut graphemes.
 * Source: Hugging Face tokenizers, normalizers/precompiled.rs; spm_precompiled, lib.rs.
 */
export function precompiledNormalizer(json: Json): (text: string) => string {
  const base64 = json['precompiled_charsmap'];
  if (base64 === undefined || base64 === null || base64 === '') return (text) => text;
  const charsmap = readCharsmap(bytesOfBase64(base64));
  if (typeof Intl.Segmenter !== 'function') {
    throw new UnsupportedError(
      'tokenizer: normalizer "Precompiled" needs Intl.Segmenter, which this host does not have',
    );
  }
  const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
  const ofCharacter = new Map<string, string>(); // at most one entry a character
  const character = (char: string): string => {
    let to = ofCharacter.get(char);
    if (to === undefined) {
      to = charsmap.shortest(char) ?? char;
      ofCharacter.set(char, to);
    }
    return to;
  };
  const grapheme = (cluster: string): string => {
    const chars = [...cluster];
    if (chars.length > 1 && new TextEncoder().encode(cluster).length < LONG_GRAPHEME) {
      const to = charsmap.shortest(cluster);
      if (to !== null) return to;
    }
    return chars.map(character).join('');
  };
  const graphemes = (run: string): string => {
    const parts: string[] = [];
    for (const cluster of graphemesOf(run, segmenter)) parts.push(grapheme(cluster));
    return parts.join('');
  };
  return (text) => rewriteAscii(text, character, graphemes);
}

/** UTF-16 units: in V8 a step of a segmenter costs as much as its text is long, so it is given little at a time. */
const WINDOW = 256;

/**
 * The graphemes of a text, cut from one part of it after the other. Whether there is a border follows from the grapheme before it and the
 * character behind; so all are right but the last one of a part, which may go on. It begins the next part.
 * Source: Unicode Standard Annex 29, section 3.1.1.
 */
function* graphemesOf(text: string, segmenter: Intl.Segmenter): Generator<string> {
  let width = WINDOW;
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + width, text.length);
    if (text.codePointAt(end - 1)! > 0xffff) end++; // a part ends between two characters
    const from = at;
    for (const { segment, index } of segmenter.segment(text.slice(from, end))) {
      if (from + index + segment.length === end && end < text.length) break;
      yield segment;
      at = from + index + segment.length;
      if (width > WINDOW) break;
    }
    width = at > from ? WINDOW : 2 * width; // a grapheme of more than a part
  }
}

/**
 * `character` of ASCII that stands alone, `graphemes` of the runs in between: what is not ASCII, with the character on either side. Two
 * ASCII characters are never one grapheme, but for "\r\n".
 */
function rewriteAscii(text: string, character: (char: string) => string, graphemes: (run: string) => string): string {
  const parts: string[] = [];
  const isPlain = (i: number): boolean => i >= text.length || text.charCodeAt(i) < 0x80;
  for (let at = 0; at < text.length; ) {
    let end = at;
    while (!(isPlain(end) && isPlain(end + 1))) end++;
    if (end > at) end = Math.min(end + 1, text.length); // a mark in front of a digit belongs to it
    const last = Math.max(at, end - 1);
    if (text.startsWith('\r\n', last)) end = last + 2;
    if (end > at) parts.push(graphemes(text.slice(at, end)));
    else parts.push(character(text[at]!));
    at = Math.max(end, at + 1);
  }
  return parts.join('');
}

function bytesOfBase64(text: unknown): Uint8Array {
  try {
    return Uint8Array.from(atob(String(text)), (char) => char.charCodeAt(0));
  } catch {
    throw new ConfigError('tokenizer: precompiled_charsmap is not base64; fetch tokenizer.json again');
  }
}
