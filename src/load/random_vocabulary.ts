import type { MetaType, MetaValue } from '../core/metadata.ts';

/** `<unk>`, `<s>`, `</s>`, 256 bytes; tokens from here on are fillers that no text becomes. */
const SPECIAL_TOKENS = ['<unk>', '<s>', '</s>'] as const;
const N_BYTES = 256;
export const FIRST_FILLER = SPECIAL_TOKENS.length + N_BYTES;

/** ggml's token types. Source: llama.h, enum llama_token_type. */
const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, unused: 5, byte: 6 } as const;

/** The metadata of a SentencePiece vocabulary in which any text is its bytes. size: at least FIRST_FILLER. hasEnd: a text ends with </s>. */
export function vocabularyMetadata(size: number, hasEnd = false): [key: string, type: MetaType, value: MetaValue][] {
  const tokens: string[] = [...SPECIAL_TOKENS];
  for (let byte = 0; byte < N_BYTES; byte++) tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  while (tokens.length < size) tokens.push(`<filler ${tokens.length}>`);
  const types = Int32Array.from(tokens, (_, id) => {
    if (id === 0) return TOKEN_TYPES.unknown;
    if (id < SPECIAL_TOKENS.length) return TOKEN_TYPES.control;
    return id < FIRST_FILLER ? TOKEN_TYPES.byte : TOKEN_TYPES.unused;
  });
  return [
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.tokens', 'array', { arrayOf: 'string', values: tokens }],
    ['tokenizer.ggml.scores', 'array', { arrayOf: 'f32', values: new Float32Array(tokens.length) }],
    ['tokenizer.ggml.token_type', 'array', { arrayOf: 'i32', values: types }],
    ['tokenizer.ggml.unknown_token_id', 'u32', 0],
    ['tokenizer.ggml.bos_token_id', 'u32', 1],
    ['tokenizer.ggml.eos_token_id', 'u32', 2],
    ['tokenizer.ggml.add_bos_token', 'bool', true],
    ['tokenizer.ggml.add_eos_token', 'bool', hasEnd],
  ];
}

/** `<pad>`, `</s>`, `<unk>`, as in T5. */
const UNIGRAM_SPECIAL = ['<pad>', '</s>', '<unk>'] as const;
/** "!" to "~". */
const [FIRST_ASCII, LAST_ASCII] = [0x21, 0x7e];
/** Some of two characters, likelier than the two alone, so that a text has several cuts. */
const PAIRS = ['▁a', '▁t', 'th', 'he', 'an', 'in', 'er', 'ed'] as const;
/** What llama.cpp's converter gives to ids that no piece has. */
const UNUSED_SCORE = -10000;

/** The metadata of a Unigram vocabulary of ASCII characters and a few pairs; others are unknown. size: at least FIRST_FILLER. */
export function unigramMetadata(size: number): [key: string, type: MetaType, value: MetaValue][] {
  const pieces: string[] = ['▁', ...PAIRS];
  for (let code = FIRST_ASCII; code <= LAST_ASCII; code++) pieces.push(String.fromCharCode(code));
  const tokens: string[] = [...UNIGRAM_SPECIAL, ...pieces];
  const firstUnused = tokens.length;
  while (tokens.length < size) tokens.push(`[PAD${tokens.length}]`);
  const types = Int32Array.from(tokens, (_, id) => {
    if (id < UNIGRAM_SPECIAL.length) return id === 2 ? TOKEN_TYPES.unknown : TOKEN_TYPES.control;
    return id < firstUnused ? TOKEN_TYPES.normal : TOKEN_TYPES.unused;
  });
  const scores = Float32Array.from(tokens, (token, id) => {
    if (id < UNIGRAM_SPECIAL.length) return 0;
    return id < firstUnused ? -4 - id / 64 - token.length / 2 : UNUSED_SCORE;
  });
  return [
    ['tokenizer.ggml.model', 'string', 't5'],
    ['tokenizer.ggml.pre', 'string', 'default'],
    ['tokenizer.ggml.tokens', 'array', { arrayOf: 'string', values: tokens }],
    ['tokenizer.ggml.scores', 'array', { arrayOf: 'f32', values: scores }],
    ['tokenizer.ggml.token_type', 'array', { arrayOf: 'i32', values: types }],
    ['tokenizer.ggml.add_space_prefix', 'bool', true],
    ['tokenizer.ggml.remove_extra_whitespaces', 'bool', true],
    ['tokenizer.ggml.eos_token_id', 'u32', 1],
    ['tokenizer.ggml.unknown_token_id', 'u32', 2],
    ['tokenizer.ggml.padding_token_id', 'u32', 0],
    ['tokenizer.ggml.add_bos_token', 'bool', false],
    ['tokenizer.ggml.add_eos_token', 'bool', true],
  ];
}
