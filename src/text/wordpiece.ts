import { ConfigError } from '../core/errors.ts';
import type { Pieces, SubwordModel } from './subword_model.ts';
import { type Json, needText } from './tokenizer_json.ts';

/** The parts of BERT's normalizer that a tokenizer.json can switch. */
export interface BertNormalizerOptions {
  readonly cleanText: boolean;
  readonly handleChineseChars: boolean;
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

/**
 * CJK ideographs, which BERT reads one by one. Hangul, Hiragana and Katakana are not among them.
 * Source: google-research/bert tokenization.py, _is_chinese_char.
 */
const CJK = /[\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\u{20000}-\u{2A6DF}\u{2A700}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** Control characters but not tab, newline and return, which are white space here; and what stands for undecodable bytes. */
const NOT_TEXT = /(?![\t\n\r])[\p{C}\uFFFD]/gu;

/**
 * clean text, space out CJK, lower-case each code point, decompose and drop accents; in this order.
 *
 * Lower-casing goes code point by code point: a final sigma stays "σ", as in every reference implementation, where
 * String.prototype.toLowerCase on the whole text would write "ς".
 * Source: google-research/bert tokenization.py, BasicTokenizer; Hugging Face tokenizers, normalizers/bert.rs.
 */
export function bertNormalize(text: string, options: BertNormalizerOptions): string {
  let out = text;
  if (options.cleanText) out = out.replace(NOT_TEXT, '').replace(/\p{White_Space}/gu, ' ');
  if (options.handleChineseChars) out = out.replace(CJK, ' $& ');
  if (options.stripAccents) out = out.normalize('NFD').replace(/\p{Mn}/gu, '');
  if (options.lowercase) out = lowercaseEach(out);
  return out;
}

/** Lower-cases code point by code point, without the rules that look at neighbours. */
export function lowercaseEach(text: string): string {
  return text.replace(/\P{ASCII}|[A-Z]/gu, (char) => char.toLowerCase());
}

export function bertNormalizerOptions(json: Json): BertNormalizerOptions {
  const lowercase = json['lowercase'] !== false;
  return {
    cleanText: json['clean_text'] !== false,
    handleChineseChars: json['handle_chinese_chars'] !== false,
    stripAccents: typeof json['strip_accents'] === 'boolean' ? json['strip_accents'] : lowercase,
    lowercase,
  };
}

/** Words between white space; every punctuation character (any Unicode one, and all ASCII symbols) is a word of its own. */
export function bertWords(text: string): string[] {
  return text.match(/[\p{P}!-/:-@[-`{-~]|[^\p{White_Space}\p{P}!-/:-@[-`{-~]+/gu) ?? [];
}

/** Hugging Face's default for words that are given up without looking. */
const DEFAULT_MAX_WORD = 100;

/**
 * WordPiece: the longest piece that starts the word, then the longest continuation ("##" + text), and so on. A word with
 * a place where none fits, or of more than max_input_chars_per_word characters, is one unknown token.
 *
 * Throws ConfigError where the vocabulary lacks its unknown token. Time is linear in the word: no match is tried that is longer than the longest piece.
 * Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 4.1; google-research/bert tokenization.py.
 */
export function wordPieceModel(model: Json, { idOf, named }: Pieces): SubwordModel {
  const prefix = needText(model['continuing_subword_prefix'] ?? '##', 'model.continuing_subword_prefix');
  const unknown = needText(model['unk_token'], 'model.unk_token');
  const unknownId = named.get(unknown);
  if (unknownId === undefined) {
    throw new ConfigError(`tokenizer: the unknown token ${JSON.stringify(unknown)} is not in the vocabulary`);
  }
  const maxChars = model['max_input_chars_per_word'];
  const maxWord = typeof maxChars === 'number' ? maxChars : DEFAULT_MAX_WORD;
  const longest = longestKey(idOf);

  return (word, out) => {
    const found: number[] = [];
    let start = 0;
    while (start < word.length && (word.length <= maxWord || [...word].length <= maxWord)) {
      const head = start === 0 ? '' : prefix;
      let end = Math.min(word.length, start + longest - head.length);
      let id: number | undefined;
      for (; end > start; end--) {
        id = idOf.get(head + word.slice(start, end));
        if (id !== undefined) break;
      }
      if (id === undefined) break;
      found.push(id);
      start = end;
    }
    if (start === word.length) for (const id of found) out.push(id);
    else out.push(unknownId);
  };
}

function longestKey(idOf: ReadonlyMap<string, number>): number {
  let longest = 0;
  for (const key of idOf.keys()) longest = Math.max(longest, key.length);
  return longest;
}
