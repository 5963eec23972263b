import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evenSigns } from '../../src/quant/iq_group.ts';
import { gridOf } from '../../src/quant/tables/grid.ts';
import {
  IQ1_GRID,
  IQ2_S_GRID,
  IQ2_XS_GRID,
  IQ2_XXS_GRID,
  IQ3_S_GRID,
  IQ3_XXS_GRID,
} from '../../src/quant/tables/iq_grids.ts';

/** 32-bit FNV-1a of coordinates as bytes. */
function fnv1a(coordinates: Int8Array): number {
  let hash = 0x811c9dc5;
  for (const v of coordinates) hash = Math.imul(hash ^ (v & 0xff), 0x01000193) >>> 0;
  return hash;
}

/**
 * [name, grid, coordinates of a point, points, hash]. The hashes are of what libggml-base of llama.cpp unpacks for blocks with
 * every index in turn and scale 1, so that every entry counts: the vectors do not reach all of them.
 */
const GRIDS: readonly (readonly [string, Int8Array, number, number, number])[] = [
  ['iq2_xxs', IQ2_XXS_GRID, 8, 256, 0x3db4a16e],
  ['iq2_xs', IQ2_XS_GRID, 8, 512, 0xebeb17dd],
  ['iq2_s', IQ2_S_GRID, 8, 1024, 0x82981110],
  ['iq3_xxs', IQ3_XXS_GRID, 4, 256, 0x49a45035],
  ['iq3_s', IQ3_S_GRID, 4, 512, 0x71cc6c89],
  ['iq1_s and iq1_m', IQ1_GRID, 8, 2048, 0x2fe8cbce],
];

describe.each(GRIDS)('codebook of %s', (_name, grid, dims, nPoints, hash) => {
  test('has all its points, each as in ggml', () => {
    expect(grid.length).toBe(dims * nPoints);
    expect(fnv1a(grid)).toBe(hash);
  });

  test('one wrong coordinate is noticed', () => {
    for (const at of [0, grid.length >> 1, grid.length - 1]) {
      const wrong = grid.slice();
      wrong[at]!++;
      expect(fnv1a(wrong)).not.toBe(hash);
    }
  });
});

describe('gridOf', () => {
  test('a bitmap by hand: two coordinates of -1 or 5, points 1 and 2 are in', () => {
    // Points in order: (-1, -1), (5, -1), (-1, 5), (5, 5). Bits 1 and 2 make 6, whose digit is G.
    expect([...gridOf(2, [-1, 5], 'G')]).toEqual([5, -1, -1, 5]);
  });

  test('any subset comes back, in ascending order', () => {
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(80)), (points) => {
        const bits = Array.from({ length: 84 }, (_, p) => (points.includes(p) ? 1 : 0));
        const bitmap = Array.from({ length: 14 }, (_, i) =>
          digits.charAt(bits.slice(6 * i, 6 * i + 6).reduce<number>((digit, bit, b) => digit + bit * 2 ** b, 0)),
        ).join('');
        const grid = gridOf(4, [0, 1, 2], bitmap);
        const numbers = Array.from({ length: grid.length / 4 }, (_, g) =>
          grid.subarray(4 * g, 4 * g + 4).reduce((sum, v, i) => sum + v * 3 ** i, 0),
        );
        expect(numbers).toEqual(points.toSorted((a, b) => a - b));
      }),
    );
  });
});

test('evenSigns keeps the seven bits and makes the number of set bits even, for all 128', () => {
  const setBits = (n: number): number => [...n.toString(2)].filter((bit) => bit === '1').length;
  for (let n = 0; n < 128; n++) {
    const signs = evenSigns(n);
    expect(signs & 0x7f).toBe(n);
    expect(signs).toBeLessThan(256);
    expect(setBits(signs) % 2, `of ${n}`).toBe(0);
  }
});
