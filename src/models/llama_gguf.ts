import { UnsupportedError } from '../core/errors.ts';
import { getCount, getNumber, getString, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { RopeLayout } from '../ops/rope.ts';
import { yarnMagnitude } from '../ops/rope_scaling.ts';
import { checkConfig, type LlamaConfig } from './config.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import type { RopeScaling } from './rope_config.ts';

/** RoPE's published base; GGUF leaves the key out when a model uses it. */
const DEFAULT_ROPE_BASE = 10000;

/** Architectures all of whose layers, or some that their graph knows, look back over attention.sliding_window positions. */
const WINDOWED: readonly string[] = ['llama', 'phi3', 'gemma2', 'gemma3'];

/**
 * The config of a GGUF file of architecture "llama" (keys `llama.*`). Its q and k rows are permuted for RoPE on pairs.
 *
 * ropeFactors: the values of the tensor rope_freqs.weight, where the file has one.
 * Throws ConfigError for a key that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: the GGUF specification (ggml/docs/gguf.md), section "Standardized key-value pairs".
 */
export function llamaConfigFromGguf(meta: Metadata, ropeFactors: readonly number[] | undefined): LlamaConfig {
  return plainConfigFromGguf(meta, 'llama', 'pairs', ropeFactors);
}

/** The same for a relative whose graph has no scales, caps and kinds of attention of its own: keys about them are refused. */
export function plainConfigFromGguf(
  meta: Metadata,
  architecture: string,
  ropeLayout: RopeLayout,
  ropeFactors?: readonly number[],
  ownScaling?: RopeScaling,
): LlamaConfig {
  refuseGgufKeys(meta, architecture);
  return commonConfigFromGguf(meta, architecture, ropeLayout, ropeFactors, ownScaling);
}

/** The keys that relatives of the Llama family share, each of which starts with the architecture's name. Throws as llamaConfigFromGguf does. */
export function commonConfigFromGguf(
  meta: Metadata,
  architecture: string,
  ropeLayout: RopeLayout,
  ropeFactors: readonly number[] | undefined,
  /** Where the architecture reads it otherwise than from the usual keys. */
  ownScaling?: RopeScaling,
  experts: 'experts' | 'no experts' = 'no experts',
): LlamaConfig {
  const key = (name: string): string => `${architecture}.${name}`;
  const nExperts = getCount(meta, key('expert_count')) ?? 0;
  if (nExperts > 0 && experts === 'no experts') {
    throw new UnsupportedError(
      `${key('expert_count')} is ${nExperts}: ${architecture} models with experts cannot be run`,
    );
  }
  const window = getCount(meta, key('attention.sliding_window')) ?? 0;
  const maxContext = needCount(meta, key('context_length'));
  const isWindowed = window > 0 && window < maxContext;
  if (isWindowed && !WINDOWED.includes(architecture)) {
    throw new UnsupportedError(
      `${key('attention.sliding_window')} is ${window}: this architecture is run without windows`,
    );
  }
  const dim = needCount(meta, key('embedding_length'));
  const nHeads = needCount(meta, key('attention.head_count'));
  const headDim = getCount(meta, key('attention.key_length')) ?? Math.floor(dim / nHeads);
  const valueDim = getCount(meta, key('attention.value_length')) ?? headDim;
  if (valueDim !== headDim) {
    throw new UnsupportedError(
      `${key('attention.value_length')} is ${valueDim} and key_length ${headDim}: they must be equal`,
    );
  }
  const vocab = getCount(meta, key('vocab_size')) ?? getStrings(meta, 'tokenizer.ggml.tokens')?.length;
  return checkConfig({
    vocab: vocab ?? needCount(meta, key('vocab_size')),
    dim,
    hiddenDim: needCount(meta, key('feed_forward_length')),
    nLayers: needCount(meta, key('block_count')),
    nHeads,
    nKvHeads: getCount(meta, key('attention.head_count_kv')) ?? nHeads,
    headDim,
    maxContext,
    normEps: needNumber(meta, key('attention.layer_norm_rms_epsilon')),
    ...(isWindowed && { window }),
    ropeLayout,
    ropeBase: getNumber(meta, key('rope.freq_base')) ?? DEFAULT_ROPE_BASE,
    ropeDim: getCount(meta, key('rope.dimension_count')) ?? headDim,
    ropeScaling: ownScaling ?? ropeScaling(meta, key, ropeFactors),
  });
}

function ropeScaling(
  meta: Metadata,
  key: (name: string) => string,
  factors: readonly number[] | undefined,
): RopeScaling {
  const kind = getString(meta, key('rope.scaling.type')) ?? 'none';
  const legacyFactor = getNumber(meta, key('rope.scale_linear'));
  if (kind === 'linear' || (kind === 'none' && legacyFactor !== undefined && legacyFactor !== 1)) {
    if (factors !== undefined) throw new UnsupportedError('rope_freqs.weight together with linear rope scaling');
    return { kind: 'linear', factor: legacyFactor ?? needNumber(meta, key('rope.scaling.factor')) };
  }
  if (kind === 'yarn') {
    if (factors !== undefined) throw new UnsupportedError('rope_freqs.weight together with yarn rope scaling');
    return yarn(meta, key);
  }
  if (kind !== 'none') {
    throw new UnsupportedError(
      `${key('rope.scaling.type')} is "${kind}"; known are none, linear, yarn and the tensor rope_freqs.weight`,
    );
  }
  return factors === undefined ? { kind: 'none' } : { kind: 'factors', factors };
}

/** Of YaRN's paper; no key, or an own one in newer files. */
const YARN_BETA_FAST = 32;
const YARN_BETA_SLOW = 1;

/** Source: llama.cpp, src/llama-model.cpp and src/llama-context.cpp: the keys, and what a missing one means. */
function yarn(meta: Metadata, key: (name: string) => string): RopeScaling {
  const logMultiplier = getNumber(meta, key('rope.scaling.yarn_log_multiplier')) ?? 0;
  if (logMultiplier !== 0) {
    throw new UnsupportedError(
      `${key('rope.scaling.yarn_log_multiplier')} is ${logMultiplier}; this architecture is run without it`,
    );
  }
  const factor = needNumber(meta, key('rope.scaling.factor'));
  const attention = getNumber(meta, key('rope.scaling.attn_factor')) ?? 1;
  return {
    kind: 'yarn',
    factor,
    originalContext:
      getCount(meta, key('rope.scaling.original_context_length')) ?? needCount(meta, key('context_length')),
    betaFast: getNumber(meta, key('rope.scaling.yarn_beta_fast')) ?? YARN_BETA_FAST,
    betaSlow: getNumber(meta, key('rope.scaling.yarn_beta_slow')) ?? YARN_BETA_SLOW,
    magnitude: attention * yarnMagnitude(factor),
  };
}
