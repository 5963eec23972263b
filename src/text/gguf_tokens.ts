import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getBool, getCount, getNumbers, getString, type Metadata, needString, needStrings } from '../core/metadata.ts';
import { MARK } from './sentencepiece.ts';
import type { Json } from './tokenizer_json.ts';

/** ggml's token types, tokenizer.ggml.token_type. Source: llama.h, enum llama_token_type. */
export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;
export const BYTE = 6;

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

/** The tokens of a GGUF file. */
export interface Vocab {
  readonly tokens: readonly string[];
  /** By id; an empty list where the file has none, as everywhere NORMAL. */
  readonly types: ArrayLike<number>;
}

/** Throws ConfigError for a list of types of another length, UnsupportedError for a token that is not UTF-8. */
export function readVocab(meta: Metadata): Vocab {
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

/** A function that gives the score of an id. Throws ConfigError where there are none, and for one that is not finite. */
export function readScores(meta: Metadata, { tokens }: Vocab): (id: number) => number {
  const scores = getNumbers(meta, 'tokenizer.ggml.scores');
  if (scores === undefined) {
    const model = needString(meta, 'tokenizer.ggml.model');
    throw new ConfigError(
      `metadata "tokenizer.ggml.scores" is missing, a ${model} vocabulary needs it; convert the model again`,
    );
  }
  sameLength('tokenizer.ggml.scores', scores.length, tokens.length);
  return (id) => {
    const score = scores[id]!;
    if (Number.isFinite(score)) return score;
    throw new ConfigError(`metadata "tokenizer.ggml.scores"[${id}] is ${score}, expected a finite number`);
  };
}

/** "▁" is a space, "<0x0A>" a byte; prefix: the first space of a text was put there. */
export function sentencePieceDecoder(prefix: boolean): Json {
  return {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: MARK }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
    ],
  };
}

/** tokenizer_config.json: the special tokens by name, and whether they are added. `addBos`: where the file does not say. */
export function configJson(meta: Metadata, vocab: Vocab, addBos: boolean): Json {
  const named = (...keys: string[]) => {
    for (const key of keys) {
      const id = getCount(meta, `tokenizer.ggml.${key}`);
      if (id !== undefined) return tokenAt(vocab, id, key);
    }
    return null;
  };
  const bos = named('bos_token_id', 'cls_token_id');
  const model = getString(meta, 'tokenizer.ggml.model');
  const isBert = model === 'bert';
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
    add_eos_token: getBool(meta, 'tokenizer.ggml.add_eos_token') ?? ((isBert || model === 't5') && eos !== null),
  };
}

/** Control and unknown tokens are special; user-defined ones are text that is always one token. */
export function addedTokens({ tokens, types }: Vocab, specialTakesSpace: boolean): Json[] {
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

export function isPlain(type: number | undefined): boolean {
  return type !== CONTROL && type !== UNKNOWN && type !== USER_DEFINED;
}

export function firstOfType({ types }: Vocab, type: number): number | undefined {
  for (let id = 0; id < types.length; id++) if (types[id] === type) return id;
  return undefined;
}

export function tokenAt({ tokens }: Vocab, id: number, key: string): string {
  if (id < tokens.length) return tokens[id]!;
  throw new ConfigError(
    `metadata "tokenizer.ggml.${key}" is ${id}, the vocabulary has ${tokens.length} tokens; convert the model again`,
  );
}

export function sameLength(key: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ConfigError(
    `metadata "${key}" has ${found} elements, tokenizer.ggml.tokens has ${expected}; convert the model again`,
  );
}
