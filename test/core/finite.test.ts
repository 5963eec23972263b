import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allFinite } from '../../src/core/finite.ts';

/** A NaN with any payload and sign, both infinities, the largest and the smallest finite numbers, and what lies between. */
const bits = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0x7f800000, 0xff800000 | 0, 0x7fc00000, 0x7f800001, 0xffffffff | 0, 0x7f7fffff, 0xff7fffff | 0, 1, 0),
);

describe('allFinite', () => {
  test('says of f32, bit pattern by bit pattern, what asking each number says', () => {
    fc.assert(
      fc.property(fc.array(bits, { maxLength: 11 }), fc.nat(2), (patterns, skip) => {
        const all = new Float32Array(Int32Array.from(patterns).buffer);
        const data = all.subarray(Math.min(skip, all.length)); // not at the start of its buffer
        expect(allFinite(data)).toBe([...data].every((v) => Number.isFinite(v)));
      }),
      { numRuns: 500 },
    );
  });

  test.each([NaN, Infinity, -Infinity])('finds one %s at any place of any length', (bad) => {
    for (let n = 1; n <= 9; n++) {
      for (let at = 0; at < n; at++) {
        for (const data of [new Float32Array(n).fill(1e38), new Float64Array(n).fill(1e308)]) {
          expect(allFinite(data)).toBe(true);
          data[at] = bad;
          expect(allFinite(data), `element ${at} of ${n}`).toBe(false);
        }
      }
    }
  });
});
