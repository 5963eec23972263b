import { ConfigError } from '../core/errors.ts';
import { type Fallback, findByteIds, type Pieces, pushFallback, type SubwordModel } from './subword_model.ts';
import { type Json, needId, needText, optionalArray } from './tokenizer_json.ts';

/** A piece that no text is cut into may not be long: a walk through the vocabulary is as long as its longest piece. */
const MAX_PIECE = 1024;

/** How far below the least likely piece an unknown character is. Source: google/sentencepiece unigram_model.cc, kUnkPenalty. */
export const UNKNOWN_PENALTY = 10;

/**
 * Unigram (Kudo 2018): of all ways to cut a word into pieces, the one whose scores (logarithms of probabilities) have the highest sum.
 *
 *   best[end] = max over pieces p that end there: best[end - |p|] + score(p)         best[0] = 0
 *
 * A character that is no piece is an unknown token of model.unk_score (default: 10 below the lowest score); a run of them is one token,
 * or with byte_fallback its bytes. Of equal sums the one that comes from further left is kept. Sums are float64, as in Hugging Face's
 * and llama.cpp's code. Special tokens, the unknown token and tokens of
 * bytes are no pieces: text is not cut into them.
 *
 * model.vocab: [piece, score] by id; a score that is null keeps a piece out of texts. Time is linear in the word, times the longest
 * piece (1,024 UTF-16 units at most).
 * Throws ConfigError for scores that are not finite and for pieces that are longer; the result throws it for an unknown character
 * without an unknown token.
 * Source: Kudo 2018, "Subword Regularization", section 3.2; Viterbi 1967.
 */
export function unigramModel(model: Json, pieces: Pieces): SubwordModel {
  const unknownId =
    model['unk_id'] === undefined || model['unk_id'] === null ? null : needId(model['unk_id'], 'unk_id');
  const byteIds = model['byte_fallback'] === true ? findByteIds(pieces.named) : null;
  const unspelled = new Set([...(byteIds ?? []), ...(unknownId === null ? [] : [unknownId])]);
  const { table, lowest } = readTable(optionalArray(model['vocab'], 'model.vocab'), pieces, unspelled);
  const unknownScore = finite(model['unk_score'] ?? lowest - UNKNOWN_PENALTY, 'model.unk_score');
  const fallback: Fallback = { byteIds, unknownId, fuseUnknown: true };
  const { texts, ids, scores, firstOf } = table;

  /** The range of [from, to), whose pieces share `depth` units, that goes on with `unit`. */
  function narrowed(from: number, to: number, depth: number, unit: number): readonly [number, number] {
    if (to - from === 1) return texts[from]!.charCodeAt(depth) === unit ? [from, to] : NOTHING;
    const below = (limit: number): number => {
      let [low, high] = [from, to];
      while (low < high) {
        const middle = (low + high) >> 1;
        const here = texts[middle]!.charCodeAt(depth); // NaN where the piece ends, which comes first
        if (here >= limit) high = middle;
        else low = middle + 1;
      }
      return low;
    };
    return [below(unit), below(unit + 1)];
  }

  return (word, out) => {
    const best = new Float64Array(word.length + 1).fill(Number.NEGATIVE_INFINITY);
    const start = new Int32Array(word.length + 1); // of the token that ends here
    const chosen = new Int32Array(word.length + 1);
    best[0] = 0;
    const offer = (from: number, end: number, score: number, id: number): void => {
      const sum = best[from]! + score;
      if (!(sum > best[end]!)) return;
      best[end] = sum;
      start[end] = from;
      chosen[end] = id;
    };
    for (let at = 0, width = 1; at < word.length; at += width) {
      width = word.codePointAt(at)! > 0xffff ? 2 : 1;
      let isPiece = false;
      let [from, to] = firstOf.get(word.charCodeAt(at)) ?? NOTHING;
      for (let depth = 1; from < to; depth++) {
        if (texts[from]!.length === depth) {
          offer(at, at + depth, scores[from]!, ids[from]!);
          if (depth === width) isPiece = true;
        }
        if (at + depth === word.length) break;
        [from, to] = narrowed(from, to, depth, word.charCodeAt(at + depth));
      }
      if (!isPiece) offer(at, at + width, unknownScore, UNKNOWN);
    }

    const ends: number[] = [];
    for (let end = word.length; end > 0; end = start[end]!) ends.push(end);
    let afterUnknown = false;
    for (const end of ends.reverse()) {
      const id = chosen[end]!;
      if (id === UNKNOWN) afterUnknown = pushFallback(word.slice(start[end]!, end), fallback, afterUnknown, out);
      else out.push(id);
      if (id !== UNKNOWN) afterUnknown = false;
    }
  };
}

const UNKNOWN = -1;
const NOTHING: readonly [number, number] = [0, 0];

/** Pieces in the order of their UTF-16 units: those with a common start are neighbours, the shortest first. */
interface PieceTable {
  readonly texts: readonly string[];
  readonly ids: Int32Array;
  readonly scores: Float64Array;
  /** The range of those that begin with a unit. */
  readonly firstOf: ReadonlyMap<number, readonly [number, number]>;
}

function readTable(
  vocab: readonly unknown[],
  { idOf }: Pieces,
  unspelled: ReadonlySet<number>,
): { table: PieceTable; lowest: number } {
  let lowest = Number.POSITIVE_INFINITY;
  const usable: { text: string; id: number; score: number }[] = [];
  vocab.forEach((entry, id) => {
    const [piece, given] = optionalArray(entry, 'model.vocab[]');
    if (given === null) return;
    const text = needText(piece, 'model.vocab[][0]');
    const score = finite(given, `the score of piece ${id}`);
    lowest = Math.min(lowest, score);
    if (unspelled.has(id) || idOf.get(text) !== id || text === '') return;
    if (text.length > MAX_PIECE) {
      throw new ConfigError(`tokenizer: piece ${id} has ${text.length} characters, expected at most ${MAX_PIECE}`);
    }
    usable.push({ text, id, score });
  });
  usable.sort((a, b) => (a.text < b.text ? -1 : 1));
  const firstOf = new Map<number, readonly [number, number]>();
  usable.forEach(({ text }, i) => {
    const unit = text.charCodeAt(0);
    firstOf.set(unit, [firstOf.get(unit)?.[0] ?? i, i + 1]);
  });
  const table = {
    texts: usable.map(({ text }) => text),
    ids: Int32Array.from(usable, ({ id }) => id),
    scores: Float64Array.from(usable, ({ score }) => score),
    firstOf,
  };
  return { table, lowest: lowest === Number.POSITIVE_INFINITY ? 0 : lowest };
}

function finite(score: unknown, what: string): number {
  if (typeof score === 'number' && Number.isFinite(score)) return score;
  throw new ConfigError(`tokenizer: ${what} is ${JSON.stringify(score)}, expected a finite number`);
}
