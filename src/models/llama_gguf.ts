import { UnsupportedError } from '../core/errors.ts';
import { getCount, getNumber, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { RopeLayout } from '../ops/rope.ts';
import { checkConfig, type LlamaConfig } from './config.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import type { RopeScaling } from './rope_config.ts';
import { ropeScalingFromGguf } from './rope_gguf.ts';

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
    ropeScaling: ownScaling ?? ropeScalingFromGguf(meta, architecture, ropeFactors),
  });
}
