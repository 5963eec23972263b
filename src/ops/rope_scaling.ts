import { ConfigError } from '../core/errors.ts';
import { log, pow } from '../core/math.ts';
import { assertPositive, ropeFrequencies } from './rope_table.ts';

/** Ways to stretch a rope's frequencies for contexts longer than those of the first training, all in float64. */

/** Meta's frequency bands for Llama 3.1 and later. Source: config.json of meta-llama/Llama-3.1-8B, `rope_scaling`. */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  /** Context length of the first training stage, in positions. */
  readonly originalContext: number;
}

/**
 * Position interpolation: every frequency divided by the factor.  Throws ConfigError unless it is a positive number.
 * Source: Chen et al. 2023, arXiv 2306.15595.
 */
export function scaleLinear(frequencies: readonly number[], factor: number): number[] {
  assertPositive('rope scaling factor', factor);
  return frequencies.map((f) => f / factor);
}

/**
 * Long waves are divided by the factor, short ones kept, those between blended:
 *   wavelength = 2 pi / f;  s = (context / wavelength - low) / (high - low);  f' = (1 - s) * f / factor + s * f
 * Throws ConfigError unless all four settings are positive numbers and low < high.
 */
export function scaleLlama3(frequencies: readonly number[], o: Llama3Scaling): number[] {
  assertPositive('rope scaling factor', o.factor);
  assertPositive('rope scaling lowFreqFactor', o.lowFreqFactor);
  assertPositive('rope scaling highFreqFactor', o.highFreqFactor);
  assertPositive('rope scaling originalContext', o.originalContext);
  if (!(o.lowFreqFactor < o.highFreqFactor)) {
    throw new ConfigError(
      `rope scaling: lowFreqFactor ${o.lowFreqFactor} must be below highFreqFactor ${o.highFreqFactor}`,
    );
  }
  return frequencies.map((f) => {
    const turns = (o.originalContext * f) / (2 * Math.PI);
    if (turns < o.lowFreqFactor) return f / o.factor;
    if (turns > o.highFreqFactor) return f;
    const s = (turns - o.lowFreqFactor) / (o.highFreqFactor - o.lowFreqFactor);
    return ((1 - s) * f) / o.factor + s * f;
  });
}

/** YaRN's bands, counted in turns within the context of the first training. */
export interface YarnScaling {
  readonly factor: number;
  /** Context length of the first training, in positions. */
  readonly originalContext: number;
  /** Pairs that turn at least this often are kept. */
  readonly betaFast: number;
  /** Pairs that turn at most this often are divided by the factor. */
  readonly betaSlow: number;
}

/**
 * The frequencies of base and ropeDim, by YaRN: fast pairs kept, slow ones divided by the factor, those between blended by
 * their index.
 *   d(beta) = ropeDim ln(context / (2 pi beta)) / (2 ln base)        the index of a pair that turns beta times
 *   low = max(floor(d(betaFast)), 0);  high = min(ceil(d(betaSlow)), ropeDim - 1), or low + 0.001 where it is low
 *   r = clamp((i - low) / (high - low), 0, 1);  f' = f / factor * r + f * (1 - r)
 * Throws ConfigError unless all settings are positive numbers, base > 1 and betaSlow <= betaFast.
 * Source: Peng et al. 2023, "YaRN", arXiv 2309.00071, 3.2, with the rounding of its own code.
 */
export function scaleYarn(base: number, ropeDim: number, o: YarnScaling): number[] {
  const frequencies = ropeFrequencies(base, ropeDim);
  assertPositive('rope scaling factor', o.factor);
  assertPositive('rope scaling originalContext', o.originalContext);
  assertPositive('rope scaling betaFast', o.betaFast);
  assertPositive('rope scaling betaSlow', o.betaSlow);
  if (!(o.betaSlow <= o.betaFast)) {
    throw new ConfigError(`rope scaling: betaSlow ${o.betaSlow} must not be above betaFast ${o.betaFast}`);
  }
  if (!(base > 1)) throw new ConfigError(`rope base is ${base}, yarn needs one above 1`);
  const indexOf = (beta: number): number => (ropeDim * log(o.originalContext / (beta * 2 * Math.PI))) / (2 * log(base));
  const low = Math.max(Math.floor(indexOf(o.betaFast)), 0);
  const high = Math.min(Math.ceil(indexOf(o.betaSlow)), ropeDim - 1);
  const width = high === low ? YARN_LEAST_WIDTH : high - low;
  return frequencies.map((f, i) => {
    const r = Math.min(Math.max((i - low) / width, 0), 1);
    return (f / o.factor) * r + f * (1 - r);
  });
}

/** Where the blend would have no width. */
const YARN_LEAST_WIDTH = 0.001;

/** YaRN's magnitude: 0.1 mscale ln(factor) + 1, and 1 where nothing is stretched.  Source: as scaleYarn, 3.3. */
export function yarnMagnitude(factor: number, mscale = 1): number {
  assertPositive('rope scaling factor', factor);
  return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/**
 * Dynamic NTK: the base under which `length` positions are told apart as well as `originalContext` were.
 *   base' = base (factor length / context - (factor - 1))^(ropeDim / (ropeDim - 2)),  length > context;  else base
 * Throws ConfigError for a factor below 1 or a ropeDim of 2.
 * Source: transformers, modeling_rope_utils.py, after "NTK-aware scaled RoPE" (bloc97, emozilla 2023).
 */
export function dynamicNtkBase(
  base: number,
  ropeDim: number,
  { factor, originalContext }: { readonly factor: number; readonly originalContext: number },
  length: number,
): number {
  assertPositive('rope scaling originalContext', originalContext);
  if (!(factor >= 1 && factor < Infinity))
    throw new ConfigError(`rope scaling factor is ${factor}, must be at least 1`);
  if (!(ropeDim > 2)) throw new ConfigError(`rope dim is ${ropeDim}, dynamic scaling needs more than 2`);
  if (length <= originalContext) return base;
  return base * pow((factor * length) / originalContext - (factor - 1), ropeDim / (ropeDim - 2));
}

/**
 * LongRoPE's magnitude: sqrt(1 + ln(s) / ln(context)), s how many times longer the context became; 1 where it did not.
 * Throws ConfigError unless both contexts are positive numbers and the original one is above 1.
 * Source: transformers, modeling_rope_utils.py, after Ding et al. 2024, "LongRoPE", arXiv 2402.13753.
 */
export function longRopeMagnitude(maxContext: number, originalContext: number): number {
  assertPositive('rope scaling maxContext', maxContext);
  if (!(originalContext > 1))
    throw new ConfigError(`rope scaling originalContext is ${originalContext}, must be above 1`);
  const s = maxContext / originalContext;
  return s <= 1 ? 1 : Math.sqrt(1 + log(s) / log(originalContext));
}

/**
 * Divides frequency i by factor i: the `rope_freqs.weight` tensor of GGUF files, or the factors of LongRoPE.
 * Throws ConfigError naming `what` when the two counts differ or a factor is not a positive number.
 */
export function divideFrequencies(
  frequencies: readonly number[],
  factors: readonly number[],
  what = 'rope_freqs.weight',
): number[] {
  if (factors.length !== frequencies.length) {
    throw new ConfigError(`${what} has ${factors.length} factors, the rope turns ${frequencies.length} pairs`);
  }
  return frequencies.map((f, i) => {
    assertPositive(`${what}[${i}]`, factors[i]!);
    return f / factors[i]!;
  });
}
