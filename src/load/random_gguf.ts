import { type DType, rowBytes } from '../core/dtype.ts';
import { ConfigError } from '../core/errors.ts';
import type { MetaType, MetaValue } from '../core/metadata.ts';
import { FORMATS } from '../quant/formats.ts';
import { GGUF_DEFAULT_ALIGNMENT } from './gguf_header.ts';
import { alignUp } from './gguf_tensor_infos.ts';
import { writeGgufHead } from './gguf_writer.ts';

/** The sizes of a Llama-family model; everything else about a random one follows from them. */
export interface RandomModelShape {
  readonly nLayers: number;
  readonly dim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly hiddenDim: number;
  /** At least FIRST_FILLER: the bytes and the special tokens have to fit. */
  readonly vocab: number;
  readonly maxContext: number;
  /** The embedding is the output matrix too. */
  readonly tied: boolean;
}

export interface RandomModelOptions {
  readonly shape: RandomModelShape;
  /** Of all matrices; norms are f32. */
  readonly dtype: DType;
  /** An unsigned 32-bit number; equal seeds give equal files. */
  readonly seed: number;
}

const NORM_EPS = 1e-5;
const ROPE_BASE = 10000;

/** `<unk>`, `<s>`, `</s>`, 256 bytes; tokens from here on are fillers that no text becomes. */
const SPECIAL_TOKENS = ['<unk>', '<s>', '</s>'] as const;
const N_BYTES = 256;
export const FIRST_FILLER = SPECIAL_TOKENS.length + N_BYTES;

/** ggml's token types. Source: llama.h, enum llama_token_type. */
const TOKEN_TYPES = { unknown: 2, control: 3, unused: 5, byte: 6 } as const;

/** general.file_type: which format most tensors have. Source: llama.h, enum llama_ftype. */
const FILE_TYPES: Readonly<Record<DType, number>> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7, bf16: 32 };

/** Rows are made and handed out about this many bytes of f32 at a time. */
const CHUNK_BYTES = 2 ** 20;

/**
 * The bytes of a GGUF file with a complete Llama-family model of random weights: right shapes, right speed, no sense. In
 * chunks, each valid until the next one is taken, so that a model of any size is written without being held.
 *
 * Every weight is a normal number in f32, f16 and as a block's scale: processors compute with subnormal numbers several
 * times slower, which would make such a model useless for measuring.
 * Throws ConfigError for sizes that do not go together, and where rows are no whole blocks of `dtype`.
 */
export function* randomGguf(options: RandomModelOptions): Generator<Uint8Array, void, void> {
  const { shape, dtype, seed } = options;
  checkShape(shape);
  const tensors = tensorsOf(shape, dtype);
  let position = 0;
  const count = (bytes: Uint8Array): Uint8Array => {
    position += bytes.length;
    return bytes;
  };
  yield count(writeGgufHead({ metadata: metadataOf(shape, dtype), tensors }));

  const random = randomNumbers(seed);
  for (const { type, shape: axes, fill } of tensors) {
    const width = axes.at(-1)!;
    const nRows = axes.length === 1 ? 1 : axes[0]!;
    const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / (width * Float32Array.BYTES_PER_ELEMENT)));
    const values = new Float32Array(Math.min(nRows, rowsPerChunk) * width);
    const bytes = new Uint8Array(rowBytes(type, values.length));
    for (let row = 0; row < nRows; row += rowsPerChunk) {
      const n = Math.min(rowsPerChunk, nRows - row) * width;
      for (let i = 0; i < n; i++) values[i] = fill(random());
      FORMATS[type].pack(values, 0, n, bytes, 0);
      yield count(bytes.subarray(0, rowBytes(type, n)));
    }
    yield count(new Uint8Array(alignUp(position, GGUF_DEFAULT_ALIGNMENT) - position));
  }
}

interface RandomTensor {
  readonly name: string;
  readonly type: DType;
  readonly shape: readonly number[];
  /** A weight from a uniform number in [0, 1). */
  readonly fill: (u: number) => number;
}

/** In the order in which converters write them. */
function tensorsOf(shape: RandomModelShape, dtype: DType): RandomTensor[] {
  const { nLayers, dim, nHeads, nKvHeads, hiddenDim, vocab } = shape;
  const kvDim = (dim / nHeads) * nKvHeads;
  const matrix = (name: string, nOut: number, nIn: number): RandomTensor => {
    const limit = 1.7 / Math.sqrt(nIn); // outputs spread about as much as inputs, so that depth changes nothing
    return { name: `${name}.weight`, type: dtype, shape: [nOut, nIn], fill: (u) => signed(u) * limit };
  };
  const norm = (name: string): RandomTensor => {
    return { name: `${name}.weight`, type: 'f32', shape: [dim], fill: (u) => 0.5 + u };
  };
  const layers = Array.from({ length: nLayers }, (_, layer) => {
    const at = `blk.${layer}`;
    return [
      norm(`${at}.attn_norm`),
      matrix(`${at}.attn_q`, dim, dim),
      matrix(`${at}.attn_k`, kvDim, dim),
      matrix(`${at}.attn_v`, kvDim, dim),
      matrix(`${at}.attn_output`, dim, dim),
      norm(`${at}.ffn_norm`),
      matrix(`${at}.ffn_gate`, hiddenDim, dim),
      matrix(`${at}.ffn_up`, hiddenDim, dim),
      matrix(`${at}.ffn_down`, dim, hiddenDim),
    ];
  });
  const head = shape.tied ? [] : [matrix('output', vocab, dim)];
  return [matrix('token_embd', vocab, dim), ...layers.flat(), norm('output_norm'), ...head];
}

/** Uniform in -1 .. -1/16 and 1/16 .. 1: far from zero, where formats of few bits have their subnormals. */
function signed(u: number): number {
  const v = 2 * u - 1;
  return v < 0 ? v * (15 / 16) - 1 / 16 : v * (15 / 16) + 1 / 16;
}

function metadataOf(shape: RandomModelShape, dtype: DType): [key: string, type: MetaType, value: MetaValue][] {
  const { tokens, types } = vocabulary(shape.vocab);
  return [
    ['general.architecture', 'string', 'llama'],
    ['general.name', 'string', 'random'],
    ['general.file_type', 'u32', FILE_TYPES[dtype]],
    ['general.quantization_version', 'u32', 2],
    ['llama.vocab_size', 'u32', shape.vocab],
    ['llama.context_length', 'u32', shape.maxContext],
    ['llama.embedding_length', 'u32', shape.dim],
    ['llama.block_count', 'u32', shape.nLayers],
    ['llama.feed_forward_length', 'u32', shape.hiddenDim],
    ['llama.attention.head_count', 'u32', shape.nHeads],
    ['llama.attention.head_count_kv', 'u32', shape.nKvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', Math.fround(NORM_EPS)],
    ['llama.rope.dimension_count', 'u32', shape.dim / shape.nHeads],
    ['llama.rope.freq_base', 'f32', ROPE_BASE],
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.tokens', 'array', { arrayOf: 'string', values: tokens }],
    ['tokenizer.ggml.scores', 'array', { arrayOf: 'f32', values: new Float32Array(tokens.length) }],
    ['tokenizer.ggml.token_type', 'array', { arrayOf: 'i32', values: types }],
    ['tokenizer.ggml.unknown_token_id', 'u32', 0],
    ['tokenizer.ggml.bos_token_id', 'u32', 1],
    ['tokenizer.ggml.eos_token_id', 'u32', 2],
    ['tokenizer.ggml.add_bos_token', 'bool', true],
    ['tokenizer.ggml.add_eos_token', 'bool', false],
  ];
}

/** A vocabulary in which any text is its bytes. */
function vocabulary(size: number): { tokens: string[]; types: Int32Array } {
  const tokens: string[] = [...SPECIAL_TOKENS];
  for (let byte = 0; byte < N_BYTES; byte++) tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  while (tokens.length < size) tokens.push(`<filler ${tokens.length}>`);
  const types = Int32Array.from(tokens, (_, id) => {
    if (id === 0) return TOKEN_TYPES.unknown;
    if (id < SPECIAL_TOKENS.length) return TOKEN_TYPES.control;
    return id < FIRST_FILLER ? TOKEN_TYPES.byte : TOKEN_TYPES.unused;
  });
  return { tokens, types };
}

function checkShape(shape: RandomModelShape): void {
  const { dim, nHeads, nKvHeads, vocab } = shape;
  for (const name of ['nLayers', 'dim', 'nHeads', 'nKvHeads', 'hiddenDim', 'vocab', 'maxContext'] as const) {
    need(name, shape[name], Number.isSafeInteger(shape[name]) && shape[name] >= 1, 'a positive integer');
  }
  need('vocab', vocab, vocab >= FIRST_FILLER, `at least ${FIRST_FILLER}, for bytes and special tokens`);
  need('dim', dim, dim % (2 * nHeads) === 0, `heads of an even size for nHeads=${nHeads}`);
  need('nHeads', nHeads, nHeads % nKvHeads === 0, `a multiple of nKvHeads=${nKvHeads}`);
}

function need(name: string, value: number, ok: boolean, wanted: string): void {
  if (!ok) throw new ConfigError(`random model: ${name} is ${value}, must be ${wanted}`);
}

/** mulberry32: 32 bits of state, which is enough here, and fast enough for a billion weights. Source: Ettinger 2017. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}
