import { ConfigError } from '../core/errors.ts';
import { MAX_AXIS, MAX_LAYERS } from './model_limits.ts';
import { FIRST_FILLER } from './random_vocabulary.ts';

/** The sizes of a decoder; everything else about a random one follows from them and its architecture. */
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

/** Room for long prompts; models of these shapes were made for 2048 and more. */
const MAX_CONTEXT = 8192;

/** Shapes of published models: SmolLM 135M, Qwen 2 0.5B, Llama 3.2 1B. */
export const RANDOM_SHAPES = {
  '135m': {
    nLayers: 30,
    dim: 576,
    nHeads: 9,
    nKvHeads: 3,
    hiddenDim: 1536,
    vocab: 49152,
    maxContext: MAX_CONTEXT,
    tied: true,
  },
  '0.5b': {
    nLayers: 24,
    dim: 896,
    nHeads: 14,
    nKvHeads: 2,
    hiddenDim: 4864,
    vocab: 151936,
    maxContext: MAX_CONTEXT,
    tied: true,
  },
  '1.2b': {
    nLayers: 16,
    dim: 2048,
    nHeads: 32,
    nKvHeads: 8,
    hiddenDim: 8192,
    vocab: 128256,
    maxContext: MAX_CONTEXT,
    tied: true,
  },
} as const satisfies Record<string, RandomModelShape>;

export type RandomShapeName = keyof typeof RANDOM_SHAPES;

/** Throws ConfigError for sizes that do not go together. */
export function checkShape(shape: RandomModelShape): void {
  const { dim, nHeads, nKvHeads, vocab } = shape;
  for (const name of ['nLayers', 'dim', 'nHeads', 'nKvHeads', 'hiddenDim', 'vocab', 'maxContext'] as const) {
    const size = shape[name];
    const max = name === 'nLayers' ? MAX_LAYERS : name === 'maxContext' ? 2 ** 32 - 1 : MAX_AXIS;
    need(name, size, Number.isSafeInteger(size) && size >= 1 && size <= max, `an integer from 1 to ${max}`);
  }
  need('vocab', vocab, vocab >= FIRST_FILLER, `at least ${FIRST_FILLER}, for bytes and special tokens`);
  need('dim', dim, dim % (2 * nHeads) === 0, `heads of an even size for nHeads=${nHeads}`);
  need('nHeads', nHeads, nHeads % nKvHeads === 0, `a multiple of nKvHeads=${nKvHeads}`);
}

function need(name: string, value: number, ok: boolean, wanted: string): void {
  if (!ok) throw new ConfigError(`random model: ${name} is ${value}, must be ${wanted}`);
}
