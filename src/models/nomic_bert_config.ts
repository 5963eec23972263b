import { UnsupportedError } from '../core/errors.ts';
import { type Metadata, needNumber } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { ggufNames } from '../load/names.ts';
import type { Tensors } from './architecture.ts';
import { needPositive } from './config_checks.ts';
import type { EncoderConfig } from './encoder.ts';
import { checkEncoder, encoderConfigFromGguf } from './encoder_config.ts';
import { number, optionalNumber } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';
import { refuseHfKeys } from './refused_keys.ts';
import { refuseGgufRopeScaling } from './rope_gguf.ts';

export interface NomicBertConfig extends EncoderConfig {
  readonly ropeBase: number;
}

/** Keys `nomic-bert.*`. Throws as encoderConfigFromGguf does. */
export function nomicBertConfigFromGguf(meta: Metadata): NomicBertConfig {
  refuseGgufRopeScaling(meta, 'nomic-bert');
  return checked({
    ...encoderConfigFromGguf(meta, 'nomic-bert'),
    ropeBase: needNumber(meta, 'nomic-bert.rope.freq_base'),
  });
}

/** Switches of which the graph knows one position: key, what the config's class has where it is missing, and that one. */
const SWITCHES: readonly (readonly [key: string, byDefault: unknown, known: unknown])[] = [
  ['activation_function', 'gelu_new', 'swiglu'],
  ['qkv_proj_bias', true, false],
  ['mlp_fc1_bias', true, false],
  ['mlp_fc2_bias', true, false],
  ['prenorm', false, false],
  ['causal', false, false],
  ['parallel_block', false, false],
  ['use_rms_norm', false, false],
  ['rotary_emb_fraction', 0, 1],
  ['rotary_emb_interleaved', false, false],
  ['rotary_emb_scale_base', null, null],
  ['rotary_scaling_factor', null, null],
];

/**
 * config.json of nomic-embed-text, whose fields are those of GPT-2. Its table of positions ends where it was trained.
 * Throws ConfigError for a field that is missing or out of range, UnsupportedError for a variant by name.
 * Source: nomic-ai/nomic-bert-2048, configuration_hf_nomic_bert.py.
 */
export function nomicBertConfigFromHf(config: JsonObject): NomicBertConfig {
  refuseHfKeys(config);
  for (const [key, byDefault, known] of SWITCHES) {
    const value = config[key] ?? byDefault;
    if (value !== known) {
      throw new UnsupportedError(
        `config.json: ${key} is ${JSON.stringify(value)}; nomic_bert is run with ${JSON.stringify(known)}`,
      );
    }
  }
  const dim = number(config, 'n_embd');
  const nHeads = number(config, 'n_head');
  const nPositions = number(config, 'n_positions');
  return checked(
    checkEncoder({
      vocab: number(config, 'vocab_size'),
      dim,
      hiddenDim: number(config, 'n_inner'),
      nLayers: number(config, 'n_layer'),
      nHeads,
      headDim: dim / nHeads,
      maxContext: Math.min(nPositions, optionalNumber(config, 'max_trained_positions') ?? nPositions),
      normEps: number(config, 'layer_norm_epsilon'),
      ropeBase: number(config, 'rotary_emb_base'),
    }),
  );
}

function checked(config: NomicBertConfig): NomicBertConfig {
  needPositive('ropeBase', config.ropeBase);
  return config;
}

const nameOf = ggufNames({
  model: [
    ['embeddings.word_embeddings', 'token_embd'],
    ['embeddings.token_type_embeddings', 'token_types'],
    ['emb_ln', 'token_embd_norm'],
  ],
  layer: [
    ['attn.Wqkv', 'attn_qkv'],
    ['attn.out_proj', 'attn_output'],
    ['norm1', 'attn_output_norm'],
    ['mlp.fc11', 'ffn_up'],
    ['mlp.fc12', 'ffn_gate'],
    ['mlp.fc2', 'ffn_down'],
    ['norm2', 'layer_output_norm'],
  ],
  layers: 'encoder.layers',
});

/** A folder's tensors under their GGUF names. Throws UnsupportedError for a name that has no place. */
export function nomicBertTensors(tensors: Tensors): Tensors {
  return renamed(tensors, nameOf, 'nomic_bert');
}
