import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { bpeModel, endOfWordSuffix } from './bpe_model.ts';
import { PieceList } from './piece_list.ts';
import { readSpecialIds, type SpecialOverrides } from './special_ids.ts';
import { sectionSplitter } from './special_tokens.ts';
import type { Pieces, SubwordModel } from './subword_model.ts';
import { makeNormalizer, makeWordCutter } from './text_steps.ts';
import { makeTokenDecoder } from './token_bytes.ts';
import {
  type AddedToken,
  isId,
  type Json,
  needId,
  needObject,
  needText,
  optionalArray,
  readTokenizerJson,
  type TokenizerFiles,
} from './tokenizer_json.ts';
import { unigramModel } from './unigram.ts';
import { wordPieceModel } from './wordpiece.ts';

export interface EncodeOptions {
  /** Adds the start and end tokens that the model's files ask for. Default true. */
  readonly addSpecial?: boolean;
  /** Reads special tokens written in the text ("<s>") as such. Default false: text from outside cannot forge a turn. */
  readonly parseSpecial?: boolean;
}

export interface DecodeOptions {
  /** Special tokens add nothing (default true), or their text. */
  readonly skipSpecial?: boolean;
}

/** Text to token ids and back: room 3, and one half of room 9. Immutable. */
export interface Tokenizer {
  /** Highest token id plus one. A model's logits may have a few more columns, of ids that no text has. */
  readonly vocabSize: number;
  /** The token that starts a text, null where the files name none. */
  readonly bosId: number | null;
  /** Every token that ends a generation: end of text, end of turn. */
  readonly eosIds: ReadonlySet<number>;
  /** Whether `encode` starts a text with bosId. */
  readonly addBos: boolean;
  /** `decode` drops one space at the very start of a text, which `encode` had put there. */
  readonly dropsLeadingSpace: boolean;
  encode(text: string, options?: EncodeOptions): number[];
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** The token's text, for people: special tokens by name, bytes that are no text on their own as "<0xE2>". */
  piece(id: number): string;
  /** The bytes that this token adds to the output stream; none for a special token. */
  bytes(id: number): Uint8Array;
  isSpecial(id: number): boolean;
  /** Whether there is a token of this id; a vocabulary may have gaps. */
  hasId(id: number): boolean;
}

/**
 * The tokenizer that tokenizer.json (and tokenizer_config.json) describe; gguf_vocab.ts makes the same form from GGUF.
 *
 * encode: lone surrogates become U+FFFD (they have no UTF-8); added tokens are cut out, then each section is normalized, cut
 * into words and split by the vocabulary's model. A start (end) token is not added where the text, parsed for special tokens,
 * already starts (ends) with it: chat templates write their own. Time is linear but for a logarithm: a megabyte without a
 * space is one word and takes about a second.
 *
 * decode: the bytes of all tokens in order, then the space rule, then UTF-8 with U+FFFD for what is invalid.
 *
 * Throws ConfigError for malformed or contradictory files and for ids outside the vocabulary, UnsupportedError for a step that
 * is not known here, CapacityError for ids of 2^22 and above.
 */
export function createTokenizer(files: TokenizerFiles, special: SpecialOverrides = {}): Tokenizer {
  const json = readTokenizerJson(files.tokenizerJson);
  const config: Json = files.tokenizerConfig === undefined ? {} : needObject(files.tokenizerConfig, 'tokenizer_config');
  const addedById = new Map(json.addedTokens.map((token) => [token.id, token]));
  const pieces = readPieces(json.model, json.addedTokens);
  const vocabSize = pieces.textOf.length;
  const ids = readSpecialIds(json.postProcessor, config, special, pieces.named);

  const normalize = makeNormalizer(json.normalizer);
  const cutWords = makeWordCutter(json.preTokenizer);
  const encodeWord = makeModel(json.model, pieces);
  const decoder = makeTokenDecoder(json.decoder, endOfWordSuffix(json.model));
  // Two passes, as in Hugging Face tokenizers: some tokens are sought in the text as given, some in the normalized one.
  const splitters = [false, true].map((parseSpecial) => {
    const tokens = json.addedTokens.filter((token) => parseSpecial || !token.special);
    const raw = tokens.filter((token) => !token.normalized);
    const normalized = tokens.filter((token) => token.normalized);
    return {
      raw: sectionSplitter(
        raw,
        raw.map((token) => token.content),
      ),
      normalized: sectionSplitter(
        normalized,
        normalized.map((token) => normalize(token.content)),
      ),
    };
  });

  const isSpecial = (id: number) => addedById.get(checked(id))?.special === true;

  function checked(id: number): number {
    if (pieces.textOf[id] !== undefined) return id;
    throw new ConfigError(`token id ${id} is not in the vocabulary, which has ${vocabSize} ids from 0`);
  }

  const known = new Map<number, Uint8Array>(); // at most one entry a token
  function bytesOf(id: number, skipSpecial: boolean): Uint8Array {
    if (isSpecial(id)) return skipSpecial ? NO_BYTES : new TextEncoder().encode(pieces.textOf[id]);
    let bytes = known.get(id);
    if (bytes === undefined) {
      bytes = decoder.bytesOf(pieces.textOf[id]!, addedById.has(id));
      known.set(id, bytes);
    }
    return bytes;
  }

  return {
    vocabSize,
    bosId: ids.bosId,
    eosIds: ids.eosIds,
    addBos: ids.bosId !== null && ids.prefix[0] === ids.bosId,
    dropsLeadingSpace: decoder.dropsLeadingSpace,
    isSpecial,
    hasId: (id) => pieces.textOf[id] !== undefined,
    bytes: (id) => bytesOf(id, true).slice(),

    encode(text, { addSpecial = true, parseSpecial = false } = {}) {
      const out: number[] = [];
      const split = splitters[parseSpecial ? 1 : 0]!;
      split.raw(text.replace(/\p{Surrogate}/gu, '\uFFFD')).forEach((section, i) => {
        if (section.id !== null) {
          out.push(section.id);
          return;
        }
        for (const part of split.normalized(normalize(section.text))) {
          if (part.id !== null) out.push(part.id);
          else for (const word of cutWords(part.text, i === 0)) encodeWord(word, out);
        }
      });
      return addSpecial ? withEnds(out, ids.prefix, ids.suffix, parseSpecial) : out;
    },

    decode(idsToDecode, { skipSpecial = true } = {}) {
      const parts = idsToDecode.map((id) => bytesOf(id, skipSpecial));
      let bytes = concat(parts);
      if (decoder.dropsLeadingSpace && bytes[0] === SPACE) bytes = bytes.subarray(1);
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    },

    piece(id) {
      const text = pieces.textOf[checked(id)]!;
      if (isSpecial(id)) return text;
      const bytes = bytesOf(id, true);
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        return Array.from(bytes, (b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`).join('');
      }
    },
  };
}

const NO_BYTES = new Uint8Array(0);
const SPACE = 0x20;

/** `ids` between the tokens that start and end a text; one that the text has written itself is not written twice. */
function withEnds(
  ids: readonly number[],
  prefix: readonly number[],
  suffix: readonly number[],
  parsed: boolean,
): number[] {
  const hasStart = parsed && prefix.length > 0 && ids[0] === prefix[0];
  const hasEnd = parsed && suffix.length > 0 && ids.at(-1) === suffix.at(-1);
  return [...(hasStart ? [] : prefix), ...ids, ...(hasEnd ? [] : suffix)];
}

/** Collects the vocabulary of the model and the added tokens, which come last and win. */
function readPieces(model: Json, addedTokens: readonly AddedToken[]): Pieces {
  const { idOf, textOf } = readVocab(model['vocab']);
  const added = new Map<string, number>();
  for (const token of addedTokens) {
    added.set(token.content, token.id);
    idOf.set(token.content, token.id);
    textOf[token.id] = token.content;
  }
  if (textOf.length === 0) throw new ConfigError('tokenizer: the vocabulary is empty; fetch tokenizer.json again');
  for (const token of addedTokens) if (token.special) idOf.delete(token.content);
  return { idOf, named: { get: (text) => added.get(text) ?? idOf.get(text) }, textOf };
}

/** model.vocab: ids by piece (an object, from GGUF a PieceList), or of Unigram [piece, score] by id. */
function readVocab(vocab: unknown): { idOf: Map<string, number>; textOf: (string | undefined)[] } {
  if (vocab instanceof PieceList) {
    if (vocab.pieces.length > 0) needId(vocab.pieces.length - 1, 'the last of tokenizer.ggml.tokens');
    return { idOf: vocab.ids(), textOf: [...vocab.pieces] };
  }
  const textOf: (string | undefined)[] = [];
  if (Array.isArray(vocab)) {
    const idOf = new Map<string, number>();
    vocab.forEach((entry, id) => {
      const piece = needText(optionalArray(entry, `model.vocab[${id}]`)[0], `model.vocab[${id}][0]`);
      idOf.set(piece, id);
      textOf[id] = piece;
    });
    return { idOf, textOf };
  }
  const idOf = new Map<string, number>();
  for (const [piece, value] of Object.entries(needObject(vocab, 'model.vocab'))) {
    const id = isId(value) ? value : needId(value, `model.vocab[${JSON.stringify(piece)}]`);
    if (textOf[id] !== undefined) {
      throw new ConfigError(
        `tokenizer: id ${id} is both ${JSON.stringify(textOf[id])} and ${JSON.stringify(piece)}; fetch tokenizer.json again`,
      );
    }
    textOf[id] = piece;
    idOf.set(piece, id);
  }
  return { idOf, textOf };
}

function makeModel(model: Json, pieces: Pieces): SubwordModel {
  // Older files name no type.
  const type = model['type'] ?? (model['merges'] !== undefined ? 'BPE' : undefined);
  switch (type) {
    case 'BPE':
    case 'SPM':
      return bpeModel(model, pieces);
    case 'WordPiece':
      return wordPieceModel(model, pieces);
    case 'Unigram':
      return unigramModel(model, pieces);
    default:
      throw new UnsupportedError(
        `tokenizer: model "${type}" is not one that glassformer has (BPE, SPM, WordPiece, Unigram)`,
      );
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  let nBytes = 0;
  for (const part of parts) nBytes += part.length;
  const all = new Uint8Array(nBytes);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
