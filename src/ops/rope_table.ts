import { ConfigError } from '../core/errors.ts';
import { cos, pow, sin } from '../core/math.ts';
import type { RopeAngles } from './rope.ts';

/**
 * Everything that decides the angles of one model: angle(position, i) = position * frequencies[i], and cos and sin are
 * multiplied by `magnitude` (1 for plain RoPE).
 */
export interface RopeSpec {
  /** Turns per position in radians, float64, [ropeDim / 2]. */
  readonly frequencies: readonly number[];
  readonly magnitude: number;
}

/** Meta's frequency bands for Llama 3.1 and later. Source: config.json of meta-llama/Llama-3.1-8B, `rope_scaling`. */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  /** Context length of the first training stage, in positions. */
  readonly originalContext: number;
}

/** frequency[i] = base^(-2i / ropeDim), i = 0 .. ropeDim/2 - 1.  Source: Su et al. 2021, 3.2.2. */
export function ropeFrequencies(base: number, ropeDim: number): number[] {
  assertPositive('rope base', base);
  if (!(ropeDim > 0) || ropeDim % 2 !== 0) throw new ConfigError(`rope dim is ${ropeDim}, must be even and positive`);
  return Array.from({ length: ropeDim / 2 }, (_, i) => 1 / pow(base, (2 * i) / ropeDim));
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

/**
 * Divides frequency i by factor i: the `rope_freqs.weight` tensor of GGUF files.
 * Throws ConfigError when the two counts differ or a factor is not a positive number.
 */
export function divideFrequencies(frequencies: readonly number[], factors: readonly number[]): number[] {
  if (factors.length !== frequencies.length) {
    throw new ConfigError(
      `rope_freqs.weight has ${factors.length} factors, the rope turns ${frequencies.length} pairs`,
    );
  }
  return frequencies.map((f, i) => {
    assertPositive(`rope_freqs.weight[${i}]`, factors[i]!);
    return f / factors[i]!;
  });
}

/** cos and sin for positions 0 .. nPositions-1, in float64: f32 angles are wrong at length (1e-4 at position 4,095). */
export function ropeTable64(spec: RopeSpec, nPositions: number): RopeAngles<Float64Array> {
  const halfDim = spec.frequencies.length;
  const table = { cos: new Float64Array(nPositions * halfDim), sin: new Float64Array(nPositions * halfDim), halfDim };
  for (let p = 0; p < nPositions; p++) {
    for (let i = 0; i < halfDim; i++) {
      const angle = p * spec.frequencies[i]!;
      table.cos[p * halfDim + i] = cos(angle) * spec.magnitude;
      table.sin[p * halfDim + i] = sin(angle) * spec.magnitude;
    }
  }
  return table;
}

/** The same table rounded once to f32: what naive and wasm share. */
export function ropeTable(spec: RopeSpec, nPositions: number): RopeAngles<Float32Array> {
  const { cos: c, sin: s, halfDim } = ropeTable64(spec, nPositions);
  return { cos: Float32Array.from(c), sin: Float32Array.from(s), halfDim };
}

function assertPositive(what: string, value: number): void {
  if (!(value > 0 && value < Infinity)) throw new ConfigError(`${what} is ${value}, must be a positive number`);
}
