import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getBool, getCount, getNumbers, getString, type Metadata, needString, needStrings } from '../core/metadata.ts';
import { preTokenizer, preTokenizerJson } from './pre_tokenizers.ts';
import type { Json, TokenizerFiles } from './tokenizer_json.ts';

/** ggml's token types, tokenizer.ggml.token_type. Source: llama.h, enum llama_token_type. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

/**
 * Control tokens that end a turn or a text in well-known models, whose GGUF files often name only one of them by key.
 * Source: llama.cpp src/llama-vocab.cpp, "tokens that cause end-of-generation".
 */
const END_OF_GENERATION = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|eom_id|>',
  '<EOT>',
  '<end_of_utterance>',
]);

/** SentencePiece's stand-in for a space. */
const MARK = '▁';

/**
 * The vocabulary inside a GGUF file, in the form of tokenizer.json and tokenizer_config.json.
 *
 * tokenizer.ggml.model  becomes
 *   gpt2                byte-level BPE: tokens, merges, and the cut that tokenizer.ggml.pre names
 *   llama               SentencePiece BPE: tokens and scores (model type "SPM", see bpe_model.ts), byte tokens where there are
 *                       any, "▁" for spaces and one before the text unless add_space_prefix is false
 *   bert                WordPiece over lower-cased text without accents: the file has "▁" before first pieces and nothing
 *                       before continuations, tokenizer.json the other way round
 *
 * What llama.cpp does by the model's name is done here too: special tokens of Phi-3 take the white space after them. Not
 * taken over: NFC for Qwen 2 is in neither; remove_extra_whitespaces concerns Unigram only.
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
    case 'bert':
      return wordPiece(meta, vocab);
    default:
      throw new UnsupportedError(
        `tokenizer.ggml.model "${model}" is not one of gpt2, llama, bert; use the model's Hugging Face folder`,
      );
  }
}

interface Vocab {
  readonly tokens: readonly string[];
  /** By id; an empty list where the file has none, as everywhere NORMAL. */
  readonly types: ArrayLike<number>;
}

function readVocab(meta: Metadata): Vocab {
  const raw = needStrings(meta, 'tokenizer.ggml.tokens');
  const tokens = Array.from({ length: raw.length }, (_, id) => {
    const token = raw[id]!;
    if (typeof token !== 'string') {
      throw new UnsupportedError(`tokenizer.ggml.tokens[${id}] is not UTF-8; convert the model again`);
    }
    // As in llama.cpp: an empty piece gets a name, so that ids keep their places.
    return token === '' ? `[EMPTY_${id}]` : token;
  });
  const types = getNumbers(meta, 'tokenizer.ggml.token_type') ?? [];
  if (types.length !== 0) sameLength('tokenizer.ggml.token_type', types.length, tokens.length);
  return { tokens, types };
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
        vocab: idByToken(vocab.tokens),
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
  const scores = getNumbers(meta, 'tokenizer.ggml.scores');
  if (scores === undefined) {
    throw new ConfigError(
      'metadata "tokenizer.ggml.scores" is missing, a llama vocabulary needs it; convert the model again',
    );
  }
  sameLength('tokenizer.ggml.scores', scores.length, tokens.length);
  const mergeable = (id: number) => types[id] !== CONTROL && types[id] !== UNKNOWN && types[id] !== BYTE;
  const finite = (score: number, id: number) => {
    if (Number.isFinite(score)) return score;
    throw new ConfigError(`metadata "tokenizer.ggml.scores"[${id}] is ${score}, expected a finite number`);
  };
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
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: MARK }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
        ],
      },
      model: {
        type: 'SPM',
        vocab: idByToken(tokens),
        scores: Array.from(tokens, (_, id) => (mergeable(id) ? finite(scores[id]!, id) : null)),
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
        vocab: idByToken(tokens),
        unk_token: tokenAt(renamed, unknownId, 'unknown_token_id'),
        continuing_subword_prefix: '##',
        // llama.cpp gives up on no word for its length.
        max_input_chars_per_word: Number.MAX_SAFE_INTEGER,
      },
    },
    tokenizerConfig: configJson(meta, renamed, true),
  };
}

/** tokenizer_config.json: the special tokens by name, and whether they are added. `addBos`: where the file does not say. */
function configJson(meta: Metadata, vocab: Vocab, addBos: boolean): Json {
  const named = (...keys: string[]) => {
    for (const key of keys) {
      const id = getCount(meta, `tokenizer.ggml.${key}`);
      if (id !== undefined) return tokenAt(vocab, id, key);
    }
    return null;
  };
  const bos = named('bos_token_id', 'cls_token_id');
  const isBert = getString(meta, 'tokenizer.ggml.model') === 'bert';
  const eos = isBert ? named('eos_token_id', 'seperator_token_id', 'separator_token_id') : named('eos_token_id');
  const ends = new Set([named('eot_token_id'), named('eom_token_id')].filter((token) => token !== null));
  vocab.tokens.forEach((token, id) => {
    if (vocab.types[id] === CONTROL && END_OF_GENERATION.has(token)) ends.add(token);
  });
  return {
    bos_token: bos,
    eos_token: eos,
    unk_token: named('unknown_token_id'),
    pad_token: named('padding_token_id'),
    extra_eos_tokens: [...ends],
    add_bos_token: getBool(meta, 'tokenizer.ggml.add_bos_token') ?? (addBos && bos !== null),
    add_eos_token: getBool(meta, 'tokenizer.ggml.add_eos_token') ?? (isBert && eos !== null),
  };
}

/** Control and unknown tokens are special; user-defined ones are text that is always one token. */
function addedTokens({ tokens, types }: Vocab, specialTakesSpace: boolean): Json[] {
  const list: Json[] = [];
  tokens.forEach((content, id) => {
    if (isPlain(types[id])) return;
    const special = types[id] !== USER_DEFINED;
    const rstrip = special && specialTakesSpace && !PHI3_KEEPS_SPACE.has(content);
    list.push({ id, content, special, normalized: false, lstrip: false, rstrip, single_word: false });
  });
  return list;
}

/** The special tokens of Phi-3 that leave the white space after them alone. Source: llama.cpp src/llama-vocab.cpp. */
const PHI3_KEEPS_SPACE = new Set(['<unk>', '<s>', '<|endoftext|>']);

function isPlain(type: number | undefined): boolean {
  return type !== CONTROL && type !== UNKNOWN && type !== USER_DEFINED;
}

function firstOfType({ types }: Vocab, type: number): number | undefined {
  for (let id = 0; id < types.length; id++) if (types[id] === type) return id;
  return undefined;
}

/** A Map, not an object: ten times as fast with 100,000 keys. Throws ConfigError for a piece that comes twice. */
function idByToken(tokens: readonly string[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    ids.set(token, id);
    if (ids.size > id) return;
    throw new ConfigError(
      `tokenizer.ggml.tokens: ${JSON.stringify(token)} is at both ${tokens.indexOf(token)} and ${id}; convert the model again`,
    );
  });
  return ids;
}

function tokenAt({ tokens }: Vocab, id: number, key: string): string {
  if (id < tokens.length) return tokens[id]!;
  throw new ConfigError(
    `metadata "tokenizer.ggml.${key}" is ${id}, the vocabulary has ${tokens.length} tokens; convert the model again`,
  );
}

function sameLength(key: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ConfigError(
    `metadata "${key}" has ${found} elements, tokenizer.ggml.tokens has ${expected}; convert the model again`,
  );
}
