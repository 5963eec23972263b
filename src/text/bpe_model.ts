import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { type Merge, type MergeRule, mergeSymbols } from './bpe.ts';
import { type Fallback, findByteIds, type Pieces, pushFallback, type SubwordModel } from './subword_model.ts';
import { type Json, needText, optionalArray } from './tokenizer_json.ts';

/** A pair of ids as one exact double: ids stay below 2^26 (vocabulary below 2^22, plus unknown characters of one word). */
const PAIR_BASE = 2 ** 26;

/** Words up to this length are remembered: natural text repeats its words, and a long "word" seldom comes twice. */
const CACHED_WORD_LENGTH = 64;
const MAX_CACHED_WORDS = 16_384;

/**
 * The two BPE models of tokenizer.json's `model` field.
 *
 * - type "BPE": pairs merge in the order of `merges`, a list of "left right" or [left, right].
 * - type "SPM" (ours, made by gguf_vocab.ts): any neighbours whose joined text is a piece merge, the piece of highest score
 *   first; scores[id] is null for pieces that merging must not make. This is SentencePiece's own rule. A list of merges in
 *   order of scores differs from it where two ways to split one piece overlap ("aa|a" and "a|aa" are one rank, not two).
 *
 * end_of_word_suffix ("</w>", in CLIP): the last character of a word has it behind it, as a piece of its own.
 *
 * Throws ConfigError when a merge names a piece that is not in the vocabulary, UnsupportedError for prefixes.
 */
export function bpeModel(model: Json, pieces: Pieces): SubwordModel {
  const prefix = model['continuing_subword_prefix'];
  if (prefix) throw new UnsupportedError(`tokenizer: BPE with continuing_subword_prefix=${JSON.stringify(prefix)}`);
  const suffix = endOfWordSuffix(model);
  const fallback = readFallback(model, pieces);
  const ignoreMerges = model['ignore_merges'] === true;
  const mergesOf = model['type'] === 'SPM' ? mergesByScore(model, pieces) : mergesByList(model, pieces);
  const firstFreeId = pieces.textOf.length;
  const cache = new Map<string, readonly number[]>();

  const encode: SubwordModel = (word, out) => {
    const whole = ignoreMerges ? pieces.idOf.get(word) : undefined;
    if (whole !== undefined) {
      out.push(whole);
      return;
    }
    // Characters outside the vocabulary get ids above it, so that merging can still see their text.
    const unknownIds = new Map<string, number>();
    const unknownTexts: string[] = [];
    const symbols: number[] = [];
    const chars = [...word];
    if (chars.length > 0) chars[chars.length - 1] += suffix;
    for (const char of chars) {
      let id = pieces.idOf.get(char) ?? unknownIds.get(char);
      if (id === undefined) {
        id = firstFreeId + unknownTexts.length;
        unknownIds.set(char, id);
        unknownTexts.push(char);
      }
      symbols.push(id);
    }
    const textOf = (id: number) => (id < firstFreeId ? pieces.textOf[id]! : unknownTexts[id - firstFreeId]!);
    let afterUnknown = false;
    for (const id of mergeSymbols(symbols, mergesOf(textOf))) {
      if (id >= firstFreeId) afterUnknown = pushFallback(textOf(id), fallback, afterUnknown, out);
      else {
        out.push(id);
        afterUnknown = false;
      }
    }
  };

  return (word, out) => {
    if (word.length > CACHED_WORD_LENGTH) {
      encode(word, out);
      return;
    }
    let ids = cache.get(word);
    if (ids === undefined) {
      const fresh: number[] = [];
      encode(word, fresh);
      if (cache.size >= MAX_CACHED_WORDS) cache.clear();
      cache.set(word, fresh);
      ids = fresh;
    }
    for (const id of ids) out.push(id);
  };
}

/** What the last piece of a word ends in; empty in most vocabularies. */
export function endOfWordSuffix(model: Json): string {
  return needText(model['end_of_word_suffix'] ?? '', 'model.end_of_word_suffix');
}

/** The rule for one word, given the texts of its symbols (those outside the vocabulary belong to that word only). */
type MergesOfWord = (textOf: (id: number) => string) => MergeRule;

function mergesByList(model: Json, pieces: Pieces): MergesOfWord {
  const byPair = new Map<number, Merge>();
  optionalArray(model['merges'], 'model.merges').forEach((entry, rank) => {
    const [left, right] = splitMerge(entry, rank);
    const joined = left + right;
    const leftId = pieces.named.get(left);
    const rightId = pieces.named.get(right);
    const id = pieces.named.get(joined);
    if (leftId === undefined || rightId === undefined || id === undefined) {
      const missing = leftId === undefined ? left : rightId === undefined ? right : joined;
      throw new ConfigError(
        `tokenizer: merge ${rank} (${JSON.stringify(left)} ${JSON.stringify(right)}) needs the piece ` +
          `${JSON.stringify(missing)}, which the vocabulary does not have; convert the model again`,
      );
    }
    const pair = leftId * PAIR_BASE + rightId;
    // A pair listed twice keeps its first, lower rank. Merging never makes a special token.
    if (!byPair.has(pair) && pieces.idOf.has(joined)) byPair.set(pair, { rank, id });
  });
  const rule: MergeRule = (left, right) => byPair.get(left * PAIR_BASE + right) ?? null;
  return () => rule;
}

function splitMerge(entry: unknown, rank: number): readonly [string, string] {
  if (Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && typeof entry[1] === 'string') {
    return [entry[0], entry[1]];
  }
  if (typeof entry === 'string') {
    // The first character may itself be a space; the one after it that is a space parts the pieces.
    const space = entry.indexOf(' ', 1);
    if (space > 0 && space < entry.length - 1) return [entry.slice(0, space), entry.slice(space + 1)];
  }
  throw new ConfigError(
    `tokenizer: model.merges[${rank}] is ${JSON.stringify(entry)?.slice(0, 60)}, expected two pieces; convert the model again`,
  );
}

function mergesByScore(model: Json, pieces: Pieces): MergesOfWord {
  const scores = optionalArray(model['scores'], 'model.scores');
  // Equal scores share a rank, so that position decides between them.
  const ladder = [...new Set(scores.filter((s) => typeof s === 'number'))].sort((a, b) => b - a);
  const rankOfScore = new Map(ladder.map((score, rank) => [score, rank]));
  const mergeOfPiece = scores.map((score, id): Merge | null =>
    typeof score === 'number' ? { rank: rankOfScore.get(score)!, id } : null,
  );
  const firstFreeId = pieces.textOf.length;
  const known = new Map<number, Merge | null>(); // grows to the pairs that texts really have
  return (textOf) => (left, right) => {
    const joined = () => {
      const id = pieces.idOf.get(textOf(left) + textOf(right));
      return id === undefined ? null : (mergeOfPiece[id] ?? null);
    };
    if (left >= firstFreeId || right >= firstFreeId) return joined();
    const pair = left * PAIR_BASE + right;
    let merge = known.get(pair);
    if (merge === undefined) {
      merge = joined();
      if (known.size >= MAX_KNOWN_PAIRS) known.clear();
      known.set(pair, merge);
    }
    return merge;
  };
}

/** Bounds the memory of a long-lived process that sees every pair of a large vocabulary (about 60 bytes a pair). */
const MAX_KNOWN_PAIRS = 2 ** 20;

function readFallback(model: Json, pieces: Pieces): Fallback {
  const unknown = model['unk_token'];
  let unknownId: number | null = null;
  if (typeof model['unk_id'] === 'number') unknownId = model['unk_id'];
  else if (typeof unknown === 'string') unknownId = pieces.named.get(unknown) ?? null;
  return {
    byteIds: model['byte_fallback'] === true ? findByteIds(pieces.named) : null,
    unknownId,
    fuseUnknown: model['fuse_unk'] === true,
  };
}
