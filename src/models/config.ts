import { ConfigError } from '../core/errors.ts';
import type { RopeLayout } from '../ops/rope.ts';

/** How the rope's frequencies are stretched for contexts longer than those of the first training. */
export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContext: number;
    }
  /** One divisor per frequency, as the tensor rope_freqs.weight of a GGUF file has them. */
  | { readonly kind: 'factors'; readonly factors: readonly number[] };

/** Everything that decides the graph of a Llama-family decoder; read from GGUF metadata or from config.json. */
export interface LlamaConfig {
  readonly vocab: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Positions that the model was made for. */
  readonly maxContext: number;
  readonly normEps: number;
  readonly ropeLayout: RopeLayout;
  readonly ropeBase: number;
  /** Elements of a head that turn; the rest are copied. */
  readonly ropeDim: number;
  readonly ropeScaling: RopeScaling;
}

/** Sizes beyond this are not a model but a damaged file; no published model comes near. */
const MAX_AXIS = 1 << 24;
const MAX_LAYERS = 4096;

/** Throws ConfigError naming the first field that cannot be; returns the config. */
export function checkConfig(config: LlamaConfig): LlamaConfig {
  const sizes = ['vocab', 'dim', 'hiddenDim', 'nHeads', 'nKvHeads', 'headDim', 'ropeDim'] as const;
  for (const name of sizes)
    need(
      name,
      config[name],
      Number.isInteger(config[name]) && config[name] >= 1 && config[name] <= MAX_AXIS,
      `an integer from 1 to ${MAX_AXIS}`,
    );
  need(
    'nLayers',
    config.nLayers,
    Number.isInteger(config.nLayers) && config.nLayers >= 1 && config.nLayers <= MAX_LAYERS,
    `an integer from 1 to ${MAX_LAYERS}`,
  );
  need(
    'maxContext',
    config.maxContext,
    Number.isSafeInteger(config.maxContext) && config.maxContext >= 1,
    'a positive integer',
  );
  need('nHeads', config.nHeads, config.nHeads % config.nKvHeads === 0, `a multiple of nKvHeads=${config.nKvHeads}`);
  need(
    'ropeDim',
    config.ropeDim,
    config.ropeDim % 2 === 0 && config.ropeDim <= config.headDim,
    `even and at most headDim=${config.headDim}`,
  );
  need('normEps', config.normEps, config.normEps >= 0 && config.normEps < 1, 'from 0 to 1');
  need('ropeBase', config.ropeBase, config.ropeBase > 0 && Number.isFinite(config.ropeBase), 'a positive number');
  const scaling = config.ropeScaling;
  if (scaling.kind === 'linear' || scaling.kind === 'llama3') {
    need(
      'rope scaling factor',
      scaling.factor,
      scaling.factor > 0 && Number.isFinite(scaling.factor),
      'a positive number',
    );
  }
  if (scaling.kind === 'llama3') {
    const { lowFreqFactor: low, highFreqFactor: high, originalContext } = scaling;
    need(
      'low_freq_factor',
      low,
      low > 0 && low < high && Number.isFinite(high),
      `above 0 and below high_freq_factor=${high}`,
    );
    need('original_max_position_embeddings', originalContext, originalContext >= 1, 'a positive integer');
  }
  if (scaling.kind === 'factors') {
    const n = scaling.factors.length;
    need('number of rope_freqs factors', n, n === config.ropeDim / 2, `ropeDim / 2 = ${config.ropeDim / 2}`);
    const bad = scaling.factors.find((f) => !(f > 0 && Number.isFinite(f)));
    if (bad !== undefined) need('rope_freqs factor', bad, false, 'a positive number');
  }
  return config;
}

function need(name: string, value: number, ok: boolean, wanted: string): void {
  if (!ok)
    throw new ConfigError(
      `model config: ${name} is ${value}, must be ${wanted}; the file is damaged or not a Llama-family model`,
    );
}
