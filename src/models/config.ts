import { MAX_AXIS, MAX_LAYERS } from '../load/model_limits.ts';
import { need, needSize } from './config_checks.ts';
import { checkRope, type RopeConfig } from './rope_config.ts';

/** The sizes that every decoder has. */
export interface DecoderSizes {
  readonly vocab: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Positions that the model was made for. */
  readonly maxContext: number;
}

/** Everything that decides the graph of a Llama-family decoder; read from GGUF metadata or from config.json. */
export interface LlamaConfig extends DecoderSizes, RopeConfig {
  readonly normEps: number;
  /** Layers that look back over a window see so many positions, their own among them. None: they see all. */
  readonly window?: number;
}

/** Throws ConfigError naming the first field that cannot be; returns the config. */
export function checkConfig<C extends LlamaConfig>(config: C): C {
  checkSizes(config);
  if (config.window !== undefined) needSize('sliding window', config.window, config.maxContext);
  checkRope(config, config.headDim);
  need('normEps', config.normEps, config.normEps >= 0 && config.normEps < 1, 'from 0 to 1');
  return config;
}

/** Throws ConfigError naming the first size that cannot be. */
export function checkSizes(config: DecoderSizes): void {
  const sizes = ['vocab', 'dim', 'hiddenDim', 'nHeads', 'nKvHeads', 'headDim'] as const;
  for (const name of sizes) needSize(name, config[name], MAX_AXIS);
  needSize('nLayers', config.nLayers, MAX_LAYERS);
  need(
    'maxContext',
    config.maxContext,
    Number.isSafeInteger(config.maxContext) && config.maxContext >= 1,
    'a positive integer',
  );
  need('nHeads', config.nHeads, config.nHeads % config.nKvHeads === 0, `a multiple of nKvHeads=${config.nKvHeads}`);
}
