import type { MetaType, MetaValue } from '../core/metadata.ts';

/** `<unk>`, `<s>`, `</s>`, 256 bytes; tokens from here on are fillers that no text becomes. */
const SPECIAL_TOKENS = ['<unk>', '<s>', '</s>'] as const;
const N_BYTES = 256;
export const FIRST_FILLER = SPECIAL_TOKENS.length + N_BYTES;

/** ggml's token types. Source: llama.h, enum llama_token_type. */
const TOKEN_TYPES = { unknown: 2, control: 3, unused: 5, byte: 6 } as const;

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
