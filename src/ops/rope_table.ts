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

/** frequency[i] = base^(-2i / ropeDim), i = 0 .. ropeDim/2 - 1.  Source: Su et al. 2021, 3.2.2. */
export function ropeFrequencies(base: number, ropeDim: number): number[] {
  assertPositive('rope base', base);
  if (!(ropeDim > 0) || ropeDim % 2 !== 0) throw new ConfigError(`rope dim is ${ropeDim}, must be even and positive`);
  return Array.from({ length: ropeDim / 2 }, (_, i) => 1 / pow(base, (2 * i) / ropeDim));
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

/** Throws ConfigError naming `what` unless value is above 0 and finite. */
export function assertPositive(what: string, value: number): void {
  if (!(value > 0 && value < Infinity)) throw new ConfigError(`${what} is ${value}, must be a positive number`);
}
