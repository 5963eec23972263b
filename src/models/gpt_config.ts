import { UnsupportedError } from '../core/errors.ts';
import { getCount, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkSizes, type DecoderSizes } from './config.ts';
import { need } from './config_checks.ts';
import { refuseGgufKeys } from './refused_keys.ts';

/** GELU by erf, or by the tanh that approximates it. */
export type GeluForm = 'gelu' | 'gelu_tanh';

/** What the decoders with layer norms and a plain GELU feed-forward have in common: GPT-2, GPT-NeoX, Falcon. */
export interface GptConfig extends DecoderSizes {
  readonly normEps: number;
  readonly activation: GeluForm;
}

/** Throws ConfigError naming the first field that cannot be; returns the config. */
export function checkGptConfig<C extends GptConfig>(config: C): C {
  checkSizes(config);
  need('normEps', config.normEps, config.normEps >= 0 && config.normEps < 1, 'from 0 to 1');
  need(
    'headDim',
    config.headDim,
    config.headDim * config.nHeads === config.dim,
    `dim / nHeads = ${config.dim} / ${config.nHeads}`,
  );
  return config;
}

/**
 * The keys of a GGUF file that are the same for all of them, which start with the architecture's name.
 * own: settings of refused_keys.ts that the architecture reads. Throws ConfigError for a key that is missing or of another
 * type, UnsupportedError for one that would change the result.
 */
export function gptSizesFromGguf(
  meta: Metadata,
  architecture: string,
  own: readonly string[] = [],
): Omit<GptConfig, 'activation'> {
  const key = (name: string): string => `${architecture}.${name}`;
  refuseGgufKeys(meta, architecture, own);
  const dim = needCount(meta, key('embedding_length'));
  const nHeads = needCount(meta, key('attention.head_count'));
  return {
    vocab:
      getCount(meta, key('vocab_size')) ??
      getStrings(meta, 'tokenizer.ggml.tokens')?.length ??
      needCount(meta, key('vocab_size')),
    dim,
    hiddenDim: needCount(meta, key('feed_forward_length')),
    nLayers: needCount(meta, key('block_count')),
    nHeads,
    nKvHeads: getCount(meta, key('attention.head_count_kv')) ?? nHeads,
    headDim: Math.floor(dim / nHeads),
    maxContext: needCount(meta, key('context_length')),
    normEps: needNumber(meta, key('attention.layer_norm_epsilon')),
  };
}

/** transformers' names of activations. Source: transformers, activations.py (ACT2FN). */
const GELU_FORMS: Readonly<Record<string, GeluForm>> = {
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
};

/** The activation under `key` of a config.json, `byDefault` where it has none. Throws UnsupportedError for another one. */
export function geluFormOf(config: JsonObject, key: string, byDefault: string): GeluForm {
  const name = config[key] ?? byDefault;
  const form = typeof name === 'string' && Object.hasOwn(GELU_FORMS, name) ? GELU_FORMS[name] : undefined;
  if (form === undefined) {
    const known = Object.keys(GELU_FORMS).join(', ');
    throw new UnsupportedError(`config.json: ${key} is ${JSON.stringify(name)}; known are ${known}`);
  }
  return form;
}
