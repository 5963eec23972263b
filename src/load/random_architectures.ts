import { randomDeepseek2 } from './random/deepseek.ts';
import { randomBert, randomModernBert, randomNomicBert, randomXlmRoberta } from './random/encoders.ts';
import { randomMixtral } from './random/experts.ts';
import { randomGemma, randomGemma2, randomGemma3 } from './random/gemma.ts';
import { randomFalcon, randomGpt2, randomGptNeox } from './random/gpt.ts';
import { randomLlama, randomSmolLm3 } from './random/llama.ts';
import { randomOlmo2 } from './random/olmo.ts';
import type { RandomArchitecture } from './random/parts.ts';
import { randomPhi3 } from './random/phi.ts';
import { randomQwen2, randomQwen2Moe, randomQwen3, randomQwen3Moe } from './random/qwen.ts';
import { randomT5, randomT5Encoder } from './random/t5.ts';

/** By the name in general.architecture, or one of its own. Another one is a line here; models/architectures.ts has those that can be run. */
export const RANDOM_ARCHITECTURES = {
  llama: randomLlama,
  qwen2: randomQwen2,
  qwen3: randomQwen3,
  phi3: randomPhi3,
  olmo2: randomOlmo2,
  smollm3: randomSmolLm3,
  gpt2: randomGpt2,
  gptneox: randomGptNeox,
  falcon: randomFalcon,
  mixtral: randomMixtral,
  qwen2moe: randomQwen2Moe,
  qwen3moe: randomQwen3Moe,
  gemma: randomGemma,
  gemma2: randomGemma2,
  gemma3: randomGemma3,
  deepseek2: randomDeepseek2,
} as const satisfies Readonly<Record<string, RandomArchitecture>>;

export type RandomArchitectureName = keyof typeof RANDOM_ARCHITECTURES;

/** The same of encoders, which models/encoders.ts has. */
export const RANDOM_ENCODERS = {
  bert: randomBert,
  'xlm-roberta': randomXlmRoberta,
  'nomic-bert': randomNomicBert,
  'modern-bert': randomModernBert,
  t5encoder: randomT5Encoder,
} as const satisfies Readonly<Record<string, RandomArchitecture>>;

export type RandomEncoderName = keyof typeof RANDOM_ENCODERS;

/** An encoder's texts end with a token of their own. */
export function isRandomEncoder(name: RandomName): name is RandomEncoderName {
  return Object.hasOwn(RANDOM_ENCODERS, name);
}

/** The same of encoder-decoders. */
export const RANDOM_ENCODER_DECODERS = { t5: randomT5 } as const satisfies Readonly<Record<string, RandomArchitecture>>;

/** Everything of which random models can be written. */
export const ALL_RANDOM = { ...RANDOM_ARCHITECTURES, ...RANDOM_ENCODERS, ...RANDOM_ENCODER_DECODERS } as const;

export type RandomName = keyof typeof ALL_RANDOM;
