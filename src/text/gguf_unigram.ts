import { ConfigError } from '../core/errors.ts';
import { getBool, getCount, getNumbers, type Metadata } from '../core/metadata.ts';
import {
  addedTokens,
  BYTE,
  configJson,
  firstOfType,
  isPlain,
  readScores,
  sentencePieceDecoder,
  tokenAt,
  UNKNOWN,
  UNUSED,
  type Vocab,
} from './gguf_tokens.ts';
import { PieceList } from './piece_list.ts';
import { findByteIds } from './subword_model.ts';
import type { TokenizerFiles } from './tokenizer_json.ts';
import { UNKNOWN_PENALTY } from './unigram.ts';

/**
 * tokenizer.ggml.model "t5": SentencePiece Unigram, as gguf_vocab.ts says. Scores are kept from what no text is cut into: all but normal
 * tokens (user-defined ones are cut out before). The score of an unknown character is below those of normal tokens, rounded to f32.
 * Where the file says nothing of spaces they stay as they are, and none is put in front, as in llama.cpp; converters say it.
 * Throws ConfigError for missing keys and contradictions.
 */
export function unigram(meta: Metadata, vocab: Vocab): Required<TokenizerFiles> {
  const { tokens, types } = vocab;
  const ids = new PieceList(tokens).ids();
  const scoreOf = readScores(meta, vocab);
  const isNormal = (id: number) => isPlain(types[id]) && types[id] !== UNUSED && types[id] !== BYTE;
  let lowest = Number.POSITIVE_INFINITY;
  const scored = Array.from(tokens, (token, id) => {
    if (!isNormal(id)) return [token, null];
    const score = scoreOf(id);
    lowest = Math.min(lowest, score);
    return [token, score];
  });
  const prefix = getBool(meta, 'tokenizer.ggml.add_space_prefix') ?? false;
  const unknownId = getCount(meta, 'tokenizer.ggml.unknown_token_id') ?? firstOfType(vocab, UNKNOWN);
  if (unknownId !== undefined) tokenAt(vocab, unknownId, 'unknown_token_id');
  const byteIds = findByteIds(ids);
  return {
    tokenizerJson: {
      added_tokens: addedTokens(vocab, false),
      normalizer: {
        type: 'SentencePiece',
        precompiled_charsmap: charsmapBytes(meta),
        add_dummy_prefix: prefix,
        remove_extra_whitespaces: getBool(meta, 'tokenizer.ggml.remove_extra_whitespaces') ?? false,
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: sentencePieceDecoder(prefix),
      model: {
        type: 'Unigram',
        vocab: scored,
        unk_id: unknownId ?? null,
        unk_score: Number.isFinite(lowest) ? Math.fround(lowest - UNKNOWN_PENALTY) : -UNKNOWN_PENALTY,
        byte_fallback: byteIds?.every((id) => types[id] === BYTE) === true,
      },
    },
    tokenizerConfig: configJson(meta, vocab, false),
  };
}

/** null where the file has none: texts stay as they are. */
function charsmapBytes(meta: Metadata): Uint8Array | null {
  const key = 'tokenizer.ggml.precompiled_charsmap';
  const bytes = getNumbers(meta, key);
  if (bytes === undefined || bytes.length === 0) return null;
  if (bytes instanceof Uint8Array) return bytes;
  if (bytes instanceof Int8Array) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  throw new ConfigError(`metadata "${key}" is not an array of bytes (u8 or i8); convert the model again`);
}
