import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES, rowBytes } from '../../../src/core/dtype.ts';
import { CapacityError, ShapeError } from '../../../src/core/errors.ts';
import {
  attendScratchBytes,
  linearScratchBytes,
  packedBytes,
  panelCount,
  panelRows,
  quantizedRowsBytes,
  scoreStride,
} from '../../../src/exec/wasm/layout.ts';
import { storedAs } from '../../../src/exec/wasm/stored_as.ts';
import { LANE_POSITIONS } from '../../../src/kvcache/layout.ts';

/** What the layout may add to a file's bytes: see the drawing. */
const MOST_PACKED = 1.06;

describe('packed sizes', () => {
  test.each(ALL_DTYPES.filter((dtype) => storedAs(dtype) === dtype))(
    '%s: whole panels, about what the file takes',
    (dtype) => {
      const nOut = 3 * panelRows(dtype);
      const nIn = 2 * Math.max(32, DTYPES[dtype].blockSize);
      const fileBytes = nOut * rowBytes(dtype, nIn);
      expect(packedBytes(dtype, nOut, nIn)).toBeGreaterThanOrEqual(fileBytes);
      expect(packedBytes(dtype, nOut, nIn)).toBeLessThan(MOST_PACKED * fileBytes);
      // One row more costs one panel.
      expect(packedBytes(dtype, nOut + 1, nIn)).toBe((packedBytes(dtype, nOut, nIn) * 4) / 3);
      expect(panelCount(dtype, nOut + 1)).toBe(4);
      expect(packedBytes(dtype, 0, nIn)).toBe(0);
    },
  );

  test.each(ALL_DTYPES.filter((dtype) => storedAs(dtype) !== dtype))('%s: lies as f32', (dtype) => {
    const nIn = 2 * DTYPES[dtype].blockSize;
    expect(panelRows(dtype)).toBe(panelRows('f32'));
    expect(packedBytes(dtype, 9, nIn)).toBe(packedBytes('f32', 9, nIn));
    expect(linearScratchBytes(dtype, nIn)).toBe(linearScratchBytes('f32', nIn));
    expect(() => packedBytes(dtype, 9, nIn + 1)).toThrow(ShapeError);
  });

  test('a row that is not whole blocks is refused', () => {
    expect(() => packedBytes('q4_0', 16, 40)).toThrow(
      new ShapeError('q4_0 weights: a row of 40 is not whole blocks of 32'),
    );
  });

  test('a matrix beyond 4 GiB is refused with both numbers', () => {
    expect(() => packedBytes('f32', 2 ** 16, 2 ** 15)).toThrow(CapacityError);
    expect(() => packedBytes('f32', 2 ** 16, 2 ** 15)).toThrow(/8589934592 bytes, WASM memory ends at 4294967296/);
  });
});

test('score rows are whole blocks of keys', () => {
  for (const n of [0, 1, 15, 16, 17, 40]) {
    expect(scoreStride(n)).toBeGreaterThanOrEqual(n);
    expect(scoreStride(n) % LANE_POSITIONS).toBe(0);
    expect(scoreStride(n)).toBeLessThan(n + LANE_POSITIONS);
  }
});

test('quantized rows take one record for each block', () => {
  expect(quantizedRowsBytes('relaxed', 3, 64)).toBe(3 * 2 * (32 + 4 + 4 + 4));
  expect(quantizedRowsBytes('relaxed', 5, 64)).toBe(8 * 2 * (32 + 4 + 4 + 4)); // whole groups of 4
  expect(quantizedRowsBytes('simd', 3, 64)).toBe(3 * 2 * (64 + 4 + 4));
  expect(quantizedRowsBytes('relaxed', 3, 512, 256)).toBe(3 * 2 * (256 + 16 + 112));
  expect(quantizedRowsBytes('simd', 3, 512, 256)).toBe(3 * 2 * (512 + 16 + 112));
});

test('scratch is a block of activations and a block of weights', () => {
  expect(linearScratchBytes('f32', 100)).toBe(4 * 128 * 100);
  expect(linearScratchBytes('f16', 100)).toBe(4 * (128 + 8) * 100);
  expect(linearScratchBytes('q4_0', 4096)).toBe(4 * (128 + 8) * 512);
});

test('scratch of attention for a batch is enough for any part of it', () => {
  const size = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(size, size, size, size, (a, b, nKvHeads, group) => {
      const [part, whole] = a < b ? [a, b] : [b, a];
      const bytes = (nTokens: number): number => attendScratchBytes(nTokens, nKvHeads * group, group, 16);
      expect(bytes(part)).toBeLessThanOrEqual(bytes(whole));
    }),
  );
});
