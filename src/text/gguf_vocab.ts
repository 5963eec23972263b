import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getBool, getCount, getString, type Metadata, needString, needStrings } from '../core/metadata.ts';
import {
  addedTokens,
  BYTE,
  CONTROL,
  configJson,
  firstOfType,
  isPlain,
  readScores,
  readVocab,
  sentencePieceDecoder,
  tokenAt,
  UNKNOWN,
  type Vocab,
} from './gguf_tokens.ts';
import { unigram } from './gguf_unigram.ts';
import { PieceList } from './piece_list.ts';
import { preTokenizer, preTokenizerJson } from './pre_tokenizers.ts';
import { MARK } from './sentencepiece.ts';
import type { TokenizerFiles } from './tokenizer_json.ts';

/**
 * The vocabulary inside a GGUF file, in the form of tokenizer.json and tokenizer_config.json.
 *
 * tokenizer.ggml.model  becomes
 *   gpt2                byte-level BPE: tokens, merges, and the cut that tokenizer.ggml.pre names
 *   llama               SentencePiece BPE: tokens and scores (model type "SPM", see bpe_model.ts), byte tokens where there are
 *                       any, "▁" for spaces and one before the text unless add_space_prefix is false
 *   t5                  SentencePiece Unigram: tokens and scores, byte tokens where all 256 are there, and the normalizer of
 *                       sentencepiece.ts with the file's precompiled_charsmap
 *   bert                WordPiece over lower-cased text without accents: the file has "▁" before first pieces and nothing
 *                       before continuations, tokenizer.json the other way round
 *
 * What llama.cpp does by the model's name is done here too: special tokens of Phi-3 take the white space after them. Not
 * taken over: NFC for Qwen 2 is in neither. Of Unigram some is as in SentencePiece, where llama.cpp differs: characters that are no
 * piece become bytes where the vocabulary has them (there: unknown), unused tokens come from no text, and a text gets no space in
 * front of it when add_space_prefix is false (there it does, unless remove_extra_whitespaces is false too).
 * Throws ConfigError for missing keys and contradictions, UnsupportedError for other models and unknown pre-tokenizers.
 */
export function ggufVocab(meta: Metadata): Required<TokenizerFiles> {
  const model = needString(meta, 'tokenizer.ggml.model');
  const vocab = readVocab(meta);
  switch (model) {
    case 'gpt2':
      return byteLevelBpe(meta, vocab);
    case 'llama':
      return sentencePieceBpe(meta, vocab);
    case 't5':
      return unigram(meta, vocab);
    case 'bert':
      return wordPiece(meta, vocab);
    default:
      throw new UnsupportedError(
        `tokenizer.ggml.model "${model}" is not one of gpt2, llama, t5, bert; use the model's Hugging Face folder`,
      );
  }
}

function byteLevelBpe(meta: Metadata, vocab: Vocab): Required<TokenizerFiles> {
  const pre = preTokenizer(needString(meta, 'tokenizer.ggml.pre'));
  const merges = Array.from(needStrings(meta, 'tokenizer.ggml.merges'));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    tokenizerJson: {
      added_tokens: addedTokens(vocab, false),
      normalizer: null,
      pre_tokenizer: preTokenizerJson(pre),
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        vocab: new PieceList(vocab.tokens),
        merges,
        ignore_merges: pre.ignoreMerges === true,
        byte_fallback: false,
        unk_token: null,
      },
    },
    tokenizerConfig: configJson(meta, vocab, pre.addBos === true),
  };
}

function sentencePieceBpe(meta: Metadata, vocab: Vocab): Required<TokenizerFiles> {
  const { tokens, types } = vocab;
  const scoreOf = readScores(meta, vocab);
  const mergeable = (id: number) => types[id] !== CONTROL && types[id] !== UNKNOWN && types[id] !== BYTE;
  const prefix = getBool(meta, 'tokenizer.ggml.add_space_prefix') ?? true;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: MARK };
  const unknownId = getCount(meta, 'tokenizer.ggml.unknown_token_id') ?? firstOfType(vocab, UNKNOWN);
  const isPhi3 = /phi-?3/i.test(`${getString(meta, 'tokenizer.ggml.pre')} ${getString(meta, 'general.name')}`);
  return {
    tokenizerJson: {
      added_tokens: addedTokens(vocab, isPhi3),
      normalizer: prefix ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: MARK }, replace] } : replace,
      pre_tokenizer: null,
      post_processor: null,
      decoder: sentencePieceDecoder(prefix),
      model: {
        type: 'SPM',
        vocab: new PieceList(tokens),
        scores: Array.from(tokens, (_, id) => (mergeable(id) ? scoreOf(id) : null)),
        unk_token: unknownId === undefined ? null : tokenAt(vocab, unknownId, 'unknown_token_id'),
        byte_fallback: true,
        fuse_unk: true,
      },
    },
    tokenizerConfig: configJson(meta, vocab, true),
  };
}

function wordPiece(meta: Metadata, vocab: Vocab): Required<TokenizerFiles> {
  // Names like [CLS] stay; "▁word" starts a word; anything else continues one.
  const tokens = vocab.tokens.map((token, id) => {
    if (token.startsWith(MARK)) return token.slice(MARK.length);
    return isPlain(vocab.types[id]) && !/^\[.+\]$/su.test(token) ? `##${token}` : token;
  });
  const renamed = { tokens, types: vocab.types };
  const unknownId = getCount(meta, 'tokenizer.ggml.unknown_token_id');
  if (unknownId === undefined) {
    throw new ConfigError('metadata "tokenizer.ggml.unknown_token_id" is missing, a bert vocabulary needs it');
  }
  return {
    tokenizerJson: {
      added_tokens: addedTokens(renamed, false),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: true,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: null,
      decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
      model: {
        type: 'WordPiece',
        vocab: new PieceList(tokens),
        unk_token: tokenAt(renamed, unknownId, 'unknown_token_id'),
        continuing_subword_prefix: '##',
        // llama.cpp gives up on no word for its length.
        max_input_chars_per_word: Number.MAX_SAFE_INTEGER,
      },
    },
    tokenizerConfig: configJson(meta, renamed, true),
  };
}
