import type { TensorInfo } from '../../src/load/model_file.ts';
import { dtypeOf, readTensorBytes } from '../../src/load/weights.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import type { LoraWeights } from './lora_cases.ts';

/** Half a unit in the last place of f32, as a share. */
const U = 2 ** -24;
/** What a product in f32's subnormal range may lose. */
const TINY = 2 ** -149;

/** Of a sum of n products. Source: Higham 2002, 3.1. */
const gamma = (n: number): number => (n * U) / (1 - n * U);

/** All elements of a tensor as f32. */
export async function readF32(info: TensorInfo): Promise<Float32Array> {
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  const values = new Float32Array(info.shape.reduce((n, dim) => n * dim, 1));
  FORMATS[dtypeOf(info)].unpack(bytes, 0, values, 0, values.length);
  return values;
}

interface Products {
  /** [T, in] */
  readonly x: Float32Array;
  /** [out, in] */
  readonly w: Float32Array;
  readonly mergedW: Float32Array;
  readonly pair: LoraWeights;
  readonly scale: number;
}

/**
 * For each element of y [T, out]: mergedW x in float64, and how far W x + s B (A x), computed in f32 op by op, may lie from it.
 *
 * With h = A x and g = B h, |.| by element, n = in, r = rank; each line is one op's own error and what it passes on:
 *   h:        e_h = gamma(n) |A||x|
 *   g:        e_g = gamma(r) |B|(|h| + e_h) + |B| e_h
 *   s g:      e_s = |s| e_g + 2.01 u |s|(|g| + e_g)           s is rounded, and so is the product
 *   plain:    e_p = gamma(n) |W||x|
 *   sum:      e_p + e_s + u (|y| + e_p + e_s)
 * Merged, each weight is rounded once: u |W'||x|. Its product is taken in float64 here, so that the bound has no more in it.
 */
export function differenceBound({ x, w, mergedW, pair, scale }: Products): { value: number; bound: number }[] {
  const { rank, in: nIn, out, a, b } = pair;
  const result: { value: number; bound: number }[] = [];
  for (let t = 0; t < x.length / nIn; t++) {
    const row = x.subarray(t * nIn, (t + 1) * nIn);
    const h = Array.from({ length: rank }, (_, k) => dots(a, k * nIn, row));
    const eH = h.map(({ abs }) => gamma(nIn) * abs + nIn * TINY);
    for (let o = 0; o < out; o++) {
      let [g, absG, passed] = [0, 0, 0];
      for (let k = 0; k < rank; k++) {
        const factor = b[o * rank + k]!;
        g += factor * h[k]!.sum;
        absG += Math.abs(factor) * (Math.abs(h[k]!.sum) + eH[k]!);
        passed += Math.abs(factor) * eH[k]!;
      }
      const eG = gamma(rank) * absG + passed + rank * TINY;
      const eS = Math.abs(scale) * eG + 2.01 * U * Math.abs(scale) * (Math.abs(g) + eG) + TINY;
      const plain = dots(w, o * nIn, row);
      const eP = gamma(nIn) * plain.abs + nIn * TINY;
      const y = plain.sum + scale * g;
      const run = eP + eS + U * (Math.abs(y) + eP + eS);
      const joined = dots(mergedW, o * nIn, row);
      result.push({ value: joined.sum, bound: run + U * joined.abs });
    }
  }
  return result;
}

/** Sum of products in float64, and of their sizes. */
function dots(w: Float32Array, from: number, x: Float32Array): { sum: number; abs: number } {
  let [sum, abs] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    sum += w[from + i]! * x[i]!;
    abs += Math.abs(w[from + i]! * x[i]!);
  }
  return { sum, abs };
}
