import { randomFalcon, randomGpt2, randomGptNeox } from './random/gpt.ts';
import { randomLlama } from './random/llama.ts';
import type { RandomArchitecture } from './random/parts.ts';
import { randomQwen2 } from './random/qwen.ts';

/** By the name in general.architecture. Another one is a line here; models/architectures.ts has those that can be run. */
export const RANDOM_ARCHITECTURES = {
  llama: randomLlama,
  qwen2: randomQwen2,
  gpt2: randomGpt2,
  gptneox: randomGptNeox,
  falcon: randomFalcon,
} as const satisfies Readonly<Record<string, RandomArchitecture>>;

export type RandomArchitectureName = keyof typeof RANDOM_ARCHITECTURES;
