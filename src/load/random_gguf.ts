import type { DType } from '../core/dtype.ts';
import { ConfigError } from '../core/errors.ts';
import type { MetaType, MetaValue } from '../core/metadata.ts';
import { sizeOf } from '../core/shape.ts';
import { packF32 } from '../quant/f32.ts';
import { FORMATS } from '../quant/formats.ts';
import { GGUF_DEFAULT_ALIGNMENT } from './gguf_header.ts';
import { alignUp } from './gguf_tensor_infos.ts';
import { writeGgufHead } from './gguf_writer.ts';
import type { RandomArchitecture, RandomTensor } from './random/parts.ts';
import { ALL_RANDOM, isRandomEncoder, type RandomName } from './random_architectures.ts';
import { isPooled, packedPool, type RandomWords, randomData, type Weights } from './random_blocks.ts';
import { checkShape, type RandomModelShape } from './random_shape.ts';
import { unigramMetadata, vocabularyMetadata } from './random_vocabulary.ts';

export interface RandomModelOptions {
  readonly architecture: RandomName;
  readonly shape: RandomModelShape;
  /** Of all matrices, the embedding and the output among them; norms are f32. */
  readonly format: DType;
  /** An unsigned 32-bit number; equal seeds give equal files. */
  readonly seed: number;
  /** The weights that \`format\` rounds to, but stored as f32: the same model for readers that compute with exact weights. */
  readonly isUnpacked?: boolean;
}

/** A file that is known but not made yet. */
export interface RandomModel {
  /** Of the whole file. */
  readonly nBytes: number;
  readonly nParameters: number;
  /** The file in order, in chunks of about a megabyte, each valid until the next one is taken. */
  chunks(): Generator<Uint8Array, void, void>;
}

/**
 * general.file_type: which format most tensors have. It has no number for formats of which no whole model is made.
 * Source: llama.h, enum llama_ftype.
 */
const FILE_TYPES: Readonly<Partial<Record<DType, number>>> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q2_k: 10,
  q3_k: 11,
  q4_k: 14,
  q5_k: 16,
  q6_k: 18,
  iq2_xxs: 19,
  iq2_xs: 20,
  iq3_xxs: 23,
  iq1_s: 24,
  iq4_nl: 25,
  iq3_s: 26,
  iq2_s: 28,
  iq4_xs: 30,
  iq1_m: 31,
  bf16: 32,
  tq1_0: 36,
  tq2_0: 37,
  mxfp4: 38,
};

/**
 * A GGUF file with a complete model of random weights: right shapes, right speed, no sense. A model of any size is written
 * without being held.
 *
 * Every weight is a normal number in f32 and f16, and so are the scales of blocks of 32: processors compute with subnormal
 * numbers several times slower, which would make such a model useless for measuring. Scales of super-blocks are as small as
 * those of trained models.
 * Large tensors draw their blocks from a few thousand packed ones (`randomData`), so whole rows differ but blocks come again.
 * Throws ConfigError for sizes that do not go together, for rows that are no whole blocks of `format`, and for a seed that is
 * no unsigned 32-bit number.
 */
export function randomGguf({ architecture, shape, format, seed, isUnpacked = false }: RandomModelOptions): RandomModel {
  checkShape(shape);
  if (seed !== seed >>> 0) throw new ConfigError(`random model: seed is ${seed}, must be an integer in 0..2^32 - 1`);
  const { metadata, tensors, ggufName = architecture, vocabulary }: RandomArchitecture = ALL_RANDOM[architecture];
  const drawn = tensors(shape).map((tensor) => ({
    ...tensor,
    /** What the weights are rounded to. */
    format: tensor.role === 'matrix' ? format : ('f32' as const),
  }));
  checkBlocks(drawn);
  const heads = drawn.map((tensor) => ({ ...tensor, type: isUnpacked ? ('f32' as const) : tensor.format }));
  const fileType = FILE_TYPES[isUnpacked ? 'f32' : format];
  const head = writeGgufHead({
    metadata: [
      ['general.architecture', 'string', ggufName],
      ['general.name', 'string', 'random'],
      ...(fileType === undefined
        ? []
        : [['general.file_type', 'u32', fileType] satisfies [string, MetaType, MetaValue]]),
      ['general.quantization_version', 'u32', 2],
      ...metadata(shape),
      ...(vocabulary === undefined
        ? vocabularyMetadata(shape.vocab, isRandomEncoder(architecture))
        : unigramMetadata(shape.vocab, vocabulary)),
    ],
    tensors: heads,
  });
  const bytesOf = (tensor: (typeof heads)[number]): number => {
    const { blockSize, blockBytes } = FORMATS[tensor.type];
    return (sizeOf(tensor.shape) / blockSize) * blockBytes;
  };
  const nBytes = heads.reduce((n, t) => n + alignUp(bytesOf(t), GGUF_DEFAULT_ALIGNMENT), head.length);

  function* chunks(): Generator<Uint8Array, void, void> {
    yield head;
    const words = randomWords(seed);
    const pools = new Map<string, Uint8Array>();
    for (const tensor of heads) {
      const n = sizeOf(tensor.shape);
      const weights = weightsOf(tensor, words);
      let pool: Uint8Array | undefined;
      if (isPooled(n)) {
        const key = `${tensor.format} ${tensor.role} ${tensor.shape.at(-1)}`;
        pool = pools.get(key) ?? packedPool(tensor.format, weights, words);
        pools.set(key, pool);
      }
      for (const data of randomData(tensor.format, n, weights, words, pool)) {
        yield tensor.type === tensor.format ? data : unpacked(tensor.format, data);
      }
      yield new Uint8Array(alignUp(bytesOf(tensor), GGUF_DEFAULT_ALIGNMENT) - bytesOf(tensor));
    }
  }
  return { nBytes, nParameters: heads.reduce((n, t) => n + sizeOf(t.shape), 0), chunks };
}

/** Whole blocks as f32, little-endian. */
function unpacked(format: DType, data: Uint8Array): Uint8Array {
  const { blockSize, blockBytes, unpack } = FORMATS[format];
  const values = new Float32Array((data.length / blockBytes) * blockSize);
  unpack(data, 0, values, 0, values.length);
  const bytes = new Uint8Array(values.length * 4);
  packF32(values, 0, values.length, bytes, 0);
  return bytes;
}

function checkBlocks(tensors: readonly (RandomTensor & { readonly format: DType })[]): void {
  for (const { name, format: type, shape } of tensors) {
    const { blockSize } = FORMATS[type];
    if (shape.at(-1)! % blockSize === 0) continue;
    throw new ConfigError(
      `random model: ${name} has rows of ${shape.at(-1)}, which are not whole blocks of ${blockSize} (${type}); choose sizes that are multiples of it, or another format`,
    );
  }
}

/**
 * Norms: 0.5 .. 1.5. Biases: -0.25 .. 0.25. Matrices: such that outputs spread about as much as inputs, so that depth changes nothing; the same for
 * all rows of one length.
 */
function weightsOf({ role, shape }: RandomTensor, words: RandomWords): Weights {
  const uniform = (): number => words() / 2 ** 32;
  if (role === 'norm') return { draw: () => 0.5 + uniform(), rms: Math.sqrt(13 / 12) };
  if (role === 'bias') return { draw: () => (uniform() - 0.5) / 2, rms: Math.sqrt(1 / 48) };
  const limit = 1.7 / Math.sqrt(shape.at(-1)!);
  return { draw: () => signed(uniform()) * limit, rms: limit / Math.sqrt(3) };
}

/** Uniform in -1 .. -1/16 and 1/16 .. 1: far from zero, where formats of few bits have their subnormals. */
function signed(u: number): number {
  const v = 2 * u - 1;
  return v < 0 ? v * (15 / 16) - 1 / 16 : v * (15 / 16) + 1 / 16;
}

/** mulberry32: 32 bits of state, which is enough here, and fast enough for a billion weights. Source: Ettinger 2017. */
function randomWords(seed: number): RandomWords {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  };
}
