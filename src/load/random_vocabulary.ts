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

/** The tokens that come first, and the ids of those that start and end a text. */
const UNIGRAM_STYLES = {
  t5: { special: ['<pad>', '</s>', '<unk>'], bosId: null, eosId: 1 },
  'xlm-roberta': { special: ['<s>', '<pad>', '</s>', '<unk>'], bosId: 0, eosId: 2 },
} as const;
export type UnigramStyle = keyof typeof UNIGRAM_STYLES;

/** "!" to "~". */
const [FIRST_ASCII, LAST_ASCII] = [0x21, 0x7e];
/** Some of two characters, likelier than the two alone, so that a text has several cuts. */
const PAIRS = ['▁a', '▁t', 'th', 'he', 'an', 'in', 'er', 'ed'] as const;
/** What llama.cpp's converter gives to ids that no piece has. */
const UNUSED_SCORE = -10000;

/** The metadata of a Unigram vocabulary of ASCII characters and a few pairs; others are unknown. size: at least FIRST_FILLER. */
export function unigramMetadata(size: number, style: UnigramStyle): [key: string, type: MetaType, value: MetaValue][] {
  const { special, bosId, eosId } = UNIGRAM_STYLES[style];
  const tokens: string[] = [...special, '▁', ...PAIRS];
  for (let code = FIRST_ASCII; code <= LAST_ASCII; code++) tokens.push(String.fromCharCode(code));
  const firstUnused = tokens.length;
  while (tokens.length < size) tokens.push(`[PAD${tokens.length}]`);
  const types = Int32Array.from(tokens, (token, id) => {
    if (token === '<unk>') return TOKEN_TYPES.unknown;
    if (id < special.length) return TOKEN_TYPES.control;
    return id < firstUnused ? TOKEN_TYPES.normal : TOKEN_TYPES.unused;
  });
  const scores = Float32Array.from(tokens, (token, id) => {
    if (id < special.length) return 0;
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
    ...(bosId === null ? [] : [['tokenizer.ggml.bos_token_id', 'u32', bosId] satisfies [string, MetaType, MetaValue]]),
    ['tokenizer.ggml.eos_token_id', 'u32', eosId],
    ['tokenizer.ggml.unknown_token_id', 'u32', tokens.indexOf('<unk>')],
    ['tokenizer.ggml.padding_token_id', 'u32', tokens.indexOf('<pad>')],
    ['tokenizer.ggml.add_bos_token', 'bool', bosId !== null],
    ['tokenizer.ggml.add_eos_token', 'bool', true],
  ];
}
