import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getBool, getCount, getNumber, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { ExpertGroups } from '../ops/choose_experts.ts';
import { yarnMagnitude } from '../ops/rope_scaling.ts';
import { checkConfig, type LlamaConfig } from './config.ts';
import { need, needPositive, needSize } from './config_checks.ts';
import { checkExperts, type ExpertsConfig, optionalBool } from './experts_config.ts';
import { number, optionalNumber, refuse, ropeBaseOf, ropeObject, ropeScalingOf } from './hf_config.ts';
import { refuseGgufKeys, refuseHfKeys } from './refused_keys.ts';
import type { RopeScaling } from './rope_config.ts';
import { scalingKind } from './rope_gguf.ts';

/**
 * DeepSeek-V2 and V3. What the cache holds is one row for all heads: nKvHeads is 1, headDim = latentDim + ropeDim. hiddenDim: of the
 * layers without experts.
 */
export interface DeepseekConfig extends LlamaConfig {
  /** The queries' own latent; undefined where they are one product. */
  readonly queryDim: number | undefined;
  /** What keys and values of all heads are made of. */
  readonly latentDim: number;
  /** Of a head: elements of a key that do not turn, and elements of a value. */
  readonly keyDim: number;
  readonly valueDim: number;
  readonly attentionScale: number;
  /** Layers before the first one that has experts. */
  readonly nPlainLayers: number;
  readonly experts: ExpertsConfig;
  /** Hidden width of the expert that all rows use; 0: there is none. */
  readonly sharedDim: number;
}

/** Throws ConfigError naming the first field that cannot be; returns the config. */
function checkDeepseek(config: DeepseekConfig): DeepseekConfig {
  checkConfig(config);
  const { queryDim, latentDim, keyDim, valueDim, nPlainLayers, sharedDim, experts } = config;
  for (const [name, size] of Object.entries({ latentDim, keyDim, valueDim, queryDim: queryDim ?? 1 })) {
    needSize(name, size, 1 << 24);
  }
  needPositive('scale of attention', config.attentionScale);
  need('layers without experts', nPlainLayers, nPlainLayers <= config.nLayers, `at most nLayers=${config.nLayers}`);
  need('sharedDim', sharedDim, Number.isSafeInteger(sharedDim) && sharedDim <= 1 << 24, 'a size');
  checkExperts(experts);
  return config;
}

/** A group's score is the sum of this many. Source: DeepSeek-AI 2024, "DeepSeek-V2", 2.2.2, and "DeepSeek-V3", 2.1.2. */
const SCORED_BY = { softmax: 1, sigmoid: 2 } as const;

function groupsOf(scoring: 'softmax' | 'sigmoid', count: number, chosen: number): { groups?: ExpertGroups } {
  return count > 1 && chosen < count ? { groups: { count, chosen, scoredBy: SCORED_BY[scoring] } } : {};
}

/** llama.cpp's numbers. Source: llama-hparams.h, llama_expert_gating_func_type. */
const GATING = new Map([
  [1, 'softmax' as const],
  [2, 'sigmoid' as const],
]);

const DEFAULT_ROPE_BASE = 10000;

/**
 * The config of a GGUF file of architecture "deepseek2", which has the matrices that take queries to the latent and values from it.
 * Throws ConfigError for a key that is missing or out of range, UnsupportedError for a file of an older converter.
 * Source: llama.cpp, src/models/deepseek2.cpp and src/llama-model.cpp.
 */
export function deepseekConfigFromGguf(meta: Metadata): DeepseekConfig {
  const key = (name: string): string => `deepseek2.${name}`;
  refuseGgufKeys(meta, 'deepseek2');
  const turnedKeyDim = getCount(meta, key('attention.key_length_mla'));
  if (turnedKeyDim === undefined) {
    throw new UnsupportedError(
      `${key('attention.key_length_mla')} is missing: a file of an older converter, without attn_k_b and attn_v_b; convert the model again`,
    );
  }
  const latentDim = needCount(meta, key('attention.kv_lora_rank'));
  const ropeDim = needCount(meta, key('rope.dimension_count'));
  const gating = getCount(meta, key('expert_gating_func')) ?? 1;
  const scoring = GATING.get(gating);
  if (scoring === undefined) {
    throw new UnsupportedError(`${key('expert_gating_func')} is ${gating}; known are 1 (softmax) and 2 (sigmoid)`);
  }
  const expertDim = needCount(meta, key('expert_feed_forward_length'));
  const vocab = getCount(meta, key('vocab_size')) ?? getStrings(meta, 'tokenizer.ggml.tokens')?.length;
  const { scaling, stretch } = yarnFromGguf(meta, key);
  return checkDeepseek({
    vocab: vocab ?? needCount(meta, key('vocab_size')),
    dim: needCount(meta, key('embedding_length')),
    hiddenDim: needCount(meta, key('feed_forward_length')),
    nLayers: needCount(meta, key('block_count')),
    nHeads: needCount(meta, key('attention.head_count')),
    nKvHeads: 1,
    headDim: latentDim + ropeDim,
    maxContext: needCount(meta, key('context_length')),
    normEps: needNumber(meta, key('attention.layer_norm_rms_epsilon')),
    ropeLayout: 'pairs',
    ropeBase: getNumber(meta, key('rope.freq_base')) ?? DEFAULT_ROPE_BASE,
    ropeDim,
    ropeScaling: scaling,
    queryDim: getCount(meta, key('attention.q_lora_rank')) || undefined,
    latentDim,
    keyDim: turnedKeyDim - ropeDim,
    valueDim: needCount(meta, key('attention.value_length_mla')),
    attentionScale: stretch ** 2 / Math.sqrt(turnedKeyDim),
    nPlainLayers: getCount(meta, key('leading_dense_block_count')) ?? 0,
    experts: {
      nExperts: needCount(meta, key('expert_count')),
      nChosen: needCount(meta, key('expert_used_count')),
      hiddenDim: expertDim,
      scoring,
      isNormalized: getBool(meta, key('expert_weights_norm')) ?? false,
      scale: getNumber(meta, key('expert_weights_scale')) || 1,
      ...groupsOf(
        scoring,
        getCount(meta, key('expert_group_count')) ?? 0,
        getCount(meta, key('expert_group_used_count')) ?? 0,
      ),
    },
    sharedDim: expertDim * (getCount(meta, key('expert_shared_count')) ?? 0),
  });
}

const YARN_BETA_FAST = 32;
const YARN_BETA_SLOW = 1;

/** The rope's scaling, and what scores are multiplied by the square of. A GGUF file has a tenth of mscale_all_dim. */
function yarnFromGguf(meta: Metadata, key: (name: string) => string): { scaling: RopeScaling; stretch: number } {
  const kind = scalingKind(meta, 'deepseek2');
  if (kind === 'none') return { scaling: { kind: 'none' }, stretch: 1 };
  if (kind !== 'yarn') throw new UnsupportedError(`${key('rope.scaling.type')} is "${kind}"; known are none and yarn`);
  const factor = needNumber(meta, key('rope.scaling.factor'));
  const scaling: RopeScaling = {
    kind: 'yarn',
    factor,
    originalContext: needCount(meta, key('rope.scaling.original_context_length')),
    betaFast: getNumber(meta, key('rope.scaling.yarn_beta_fast')) ?? YARN_BETA_FAST,
    betaSlow: getNumber(meta, key('rope.scaling.yarn_beta_slow')) ?? YARN_BETA_SLOW,
    magnitude: 1,
  };
  return { scaling, stretch: 1 + needNumber(meta, key('rope.scaling.yarn_log_multiplier')) * Math.log(factor) };
}

/**
 * The config of a folder whose model_type is "deepseek_v2" or "deepseek_v3". Throws as deepseekConfigFromGguf does.
 * Source: the models' own modeling_deepseek.py.
 */
export function deepseekConfigFromHf(config: JsonObject): DeepseekConfig {
  const family = 'DeepSeek';
  refuseHfKeys(config);
  refuse(config, 'hidden_act', ['silu'], family);
  refuse(config, 'attention_bias', [false], family);
  refuse(config, 'rope_interleave', [true], family);
  const every = optionalNumber(config, 'moe_layer_freq') ?? 1;
  if (every !== 1) throw new UnsupportedError(`config.json: moe_layer_freq is ${every}; ${family} is run with 1`);
  const latentDim = number(config, 'kv_lora_rank');
  const ropeDim = number(config, 'qk_rope_head_dim');
  const keyDim = number(config, 'qk_nope_head_dim');
  const expertDim = number(config, 'moe_intermediate_size');
  const scaling = ropeScalingOf(config);
  const rope = ropeObject(config);
  const allDim = scaling.kind === 'yarn' ? optionalNumber(rope!, 'mscale_all_dim') : undefined;
  const stretch = scaling.kind === 'yarn' && allDim ? yarnMagnitude(scaling.factor, allDim) : 1;
  return checkDeepseek({
    vocab: number(config, 'vocab_size'),
    dim: number(config, 'hidden_size'),
    hiddenDim: number(config, 'intermediate_size'),
    nLayers: number(config, 'num_hidden_layers'),
    nHeads: number(config, 'num_attention_heads'),
    nKvHeads: 1,
    headDim: latentDim + ropeDim,
    maxContext: number(config, 'max_position_embeddings'),
    normEps: number(config, 'rms_norm_eps'),
    ropeLayout: 'pairs',
    ropeBase: ropeBaseOf(config, DEFAULT_ROPE_BASE),
    ropeDim,
    ropeScaling: scaling,
    queryDim: optionalNumber(config, 'q_lora_rank'),
    latentDim,
    keyDim,
    valueDim: number(config, 'v_head_dim'),
    attentionScale: stretch ** 2 / Math.sqrt(keyDim + ropeDim),
    nPlainLayers: number(config, 'first_k_dense_replace'),
    experts: expertsFromHf(config, expertDim),
    sharedDim: expertDim * (optionalNumber(config, 'n_shared_experts') ?? 0),
  });
}

/** How a way of choosing is called in config.json, and the scores that it takes. V3's folders state both or neither. */
const METHODS = new Map([
  ['greedy', { scoring: 'softmax', isGrouped: false }],
  ['group_limited_greedy', { scoring: 'softmax', isGrouped: true }],
  ['noaux_tc', { scoring: 'sigmoid', isGrouped: true }],
] as const);

function expertsFromHf(config: JsonObject, hiddenDim: number): ExpertsConfig {
  const isThird = config['model_type'] === 'deepseek_v3';
  const name = config['topk_method'] ?? (isThird ? 'noaux_tc' : 'greedy');
  const method = METHODS.get(name as 'greedy');
  if (method === undefined) {
    const known = [...METHODS.keys()].join(', ');
    throw new UnsupportedError(`config.json: topk_method is ${JSON.stringify(name)}; known are ${known}`);
  }
  const { scoring, isGrouped } = method;
  refuse(config, 'scoring_func', [scoring], `topk_method ${name}`);
  const isNormalized = optionalBool(config, 'norm_topk_prob', isThird);
  const scale = number(config, 'routed_scaling_factor');
  if (scoring === 'softmax' && isNormalized && scale !== 1) {
    throw new ConfigError(
      `config.json: norm_topk_prob with routed_scaling_factor ${scale}: DeepSeek-V2 does one or the other; the file is damaged or a variant`,
    );
  }
  const groups = isGrouped ? groupsOf(scoring, number(config, 'n_group'), number(config, 'topk_group')) : {};
  return {
    nExperts: number(config, 'n_routed_experts'),
    nChosen: number(config, 'num_experts_per_tok'),
    hiddenDim,
    scoring,
    isNormalized,
    scale,
    ...groups,
  };
}
