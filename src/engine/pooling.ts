import { sum64 } from '../core/sum.ts';
import type { Pooling } from '../models/encoder.ts';

type Floats = Float32Array | Float64Array;

/** Which rows of a text of n tokens its vector is made of. */
export function pooledRows(pooling: Pooling, n: number): readonly number[] {
  switch (pooling) {
    case 'mean':
      return Array.from({ length: n }, (_, t) => t);
    case 'cls':
      return [0];
    case 'last':
      return [n - 1];
    default:
      return pooling satisfies never;
  }
}

/**
 * mean[i] = sum_r rows[r, i] / R, and where it is normalized  mean[i] / sqrt(sum_j mean[j]^2)
 *
 * rows: [R, dim]. Computed in float64 by rising r and rounded once, to the type of the rows: on every tier a vector depends on
 * its rows alone. A vector of zeros stays as it is.
 */
export function pooledVector<A extends Floats>(rows: A, dim: number, isNormalized: boolean): A {
  const nRows = rows.length / dim;
  const mean = new Float64Array(dim);
  for (let r = 0; r < nRows; r++) for (let i = 0; i < dim; i++) mean[i] = mean[i]! + rows[r * dim + i]!;
  for (let i = 0; i < dim; i++) mean[i] = mean[i]! / nRows;
  const squares = mean.map((v) => v * v);
  const length = Math.sqrt(sum64(squares, 0, dim));
  const vector = isNormalized && length > 0 ? mean.map((v) => v / length) : mean;
  return (rows instanceof Float32Array ? Float32Array.from(vector) : vector) as A;
}

/** a . b / (|a| |b|), in float64. */
export function cosine(a: Floats, b: Floats): number {
  const dot = (x: Floats, y: Floats): number =>
    sum64(
      Float64Array.from(x, (v, i) => v * y[i]!),
      0,
      x.length,
    );
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
