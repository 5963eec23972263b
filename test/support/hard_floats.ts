import fc from 'fast-check';
import { F32_EDGES, F32_MAX, testRandom } from './floats.ts';

/**
 * Rows of f32 that numeric kernels get wrong. A case is drawn as a seed and a kind, so that large arrays are cheap and sizes
 * still shrink.
 *
 *   plain      around 1, full significands: every sum rounds
 *   wide       exponents from 2^-40 to 2^40: large terms swallow small ones
 *   edges      zeros of both signs, subnormals, the largest numbers
 *   cancel     neighbours that are equal and opposite
 *   nonfinite  plain, with some NaN and infinities
 */
export const FLOAT_KINDS = ['plain', 'wide', 'edges', 'cancel', 'nonfinite'] as const;
export type FloatKind = (typeof FLOAT_KINDS)[number];

export interface FloatSource {
  readonly seed: number;
  readonly kind: FloatKind;
}

export const floatSource: fc.Arbitrary<FloatSource> = fc.record({
  seed: fc.nat(),
  kind: fc.constantFrom(...FLOAT_KINDS),
});

/** Lengths around the width of a vector, and some longer ones. */
export const laneLengths: fc.Arbitrary<number> = fc.oneof(fc.nat(9), fc.nat(70));

/** Bytes off a vector border, in whole floats. */
export const skews: fc.Arbitrary<number> = fc.constantFrom(0, 4, 8, 12);

/** n floats. `salt` tells the arrays of one case apart. */
export function hardFloats(source: FloatSource, n: number, salt = 0): Float32Array {
  const random = testRandom(source.seed + salt * 0x9e3779b9);
  const plain = (): number => 2 * random() - 1;
  const x = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    switch (source.kind) {
      case 'plain':
        x[i] = plain();
        break;
      case 'wide':
        x[i] = plain() * 2 ** Math.floor(81 * random() - 40);
        break;
      case 'edges':
        x[i] = random() < 0.5 ? plain() : F32_EDGES[Math.floor(random() * F32_EDGES.length)]!;
        break;
      case 'cancel':
        x[i] = i % 2 === 1 && random() < 0.8 ? -x[i - 1]! : plain() * (random() < 0.1 ? F32_MAX : 1);
        break;
      case 'nonfinite':
        x[i] = random() < 0.05 ? [NaN, Infinity, -Infinity][Math.floor(random() * 3)]! : plain();
        break;
      default:
        source.kind satisfies never;
    }
  }
  return x;
}

/** n bytes. */
export function randomBytes(seed: number, n: number): Uint8Array {
  const random = testRandom(seed);
  return Uint8Array.from({ length: n }, () => Math.floor(random() * 256));
}
