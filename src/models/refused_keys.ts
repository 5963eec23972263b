import { UnsupportedError } from '../core/errors.ts';
import type { Metadata } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';

/**
 * Settings of some families that would change what a model of another computes. A converter or a fork may write them into a
 * file whose graph knows none of them: such a file is refused, and no result is made up. Each with the values that change
 * nothing.
 */
const GGUF_KEYS: Readonly<Record<string, readonly (number | boolean)[]>> = {
  'attention.causal': [true],
  'attention.clamp_kqv': [0],
  'attention.max_alibi_bias': [0],
  'attention.scale': [0],
  attn_logit_softcapping: [0],
  embedding_scale: [0, 1],
  final_logit_softcapping: [0],
  logit_scale: [0, 1],
  residual_scale: [0, 1],
  use_parallel_residual: [false],
};

const HF_KEYS: Readonly<Record<string, readonly (number | boolean)[]>> = {
  alibi: [false],
  attention_multiplier: [],
  attn_logit_softcapping: [],
  clip_qkv: [],
  embedding_multiplier: [1],
  final_logit_softcapping: [],
  logit_scale: [1],
  logits_scaling: [1],
  num_experts: [0],
  num_local_experts: [0],
  parallel_attn: [false],
  query_pre_attn_scalar: [],
  residual_multiplier: [1],
  use_parallel_residual: [false],
};

/** Throws UnsupportedError for a key of a GGUF file that the architecture's graph would leave out. own: those that it reads. */
export function refuseGgufKeys(meta: Metadata, architecture: string, own: readonly string[] = []): void {
  for (const [name, harmless] of Object.entries(GGUF_KEYS)) {
    if (own.includes(name)) continue;
    const key = `${architecture}.${name}`;
    refuse(key, meta.get(key), harmless);
  }
}

/** The same for a config.json. */
export function refuseHfKeys(config: JsonObject, own: readonly string[] = []): void {
  for (const [key, harmless] of Object.entries(HF_KEYS)) {
    if (!own.includes(key)) refuse(`config.json: ${key}`, config[key] ?? undefined, harmless);
  }
}

function refuse(key: string, value: unknown, harmless: readonly unknown[]): void {
  if (value === undefined || harmless.includes(value)) return;
  throw new UnsupportedError(`${key} is ${JSON.stringify(value)}; this architecture is run without it`);
}
