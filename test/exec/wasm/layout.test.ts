import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES, rowBytes } from '../../../src/core/dtype.ts';
import { CapacityError, ShapeError } from '../../../src/core/errors.ts';
import {
  linearScratchBytes,
  packedBytes,
  panelCount,
  panelRows,
  quantizedRowsBytes,
  scoreStride,
} from '../../../src/exec/wasm/layout.ts';
import { storedAs } from '../../../src/exec/wasm/stored_as.ts';
import { LANE_POSITIONS } from '../../../src/kvcache/layout.ts';

describe('packed sizes', () => {
  test.each(ALL_DTYPES.filter((dtype) => storedAs(dtype) === dtype))(
    '%s: whole panels take what the file takes',
    (dtype) => {
      const nOut = 3 * panelRows(dtype);
      expect(packedBytes(dtype, nOut, 64)).toBe(nOut * rowBytes(dtype, 64));
      // One row more costs one panel.
      expect(packedBytes(dtype, nOut + 1, 64)).toBe((nOut + panelRows(dtype)) * rowBytes(dtype, 64));
      expect(panelCount(dtype, nOut + 1)).toBe(4);
      expect(packedBytes(dtype, 0, 64)).toBe(0);
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
});

test('scratch is a block of activations and a block of weights', () => {
  expect(linearScratchBytes('f32', 100)).toBe(4 * 128 * 100);
  expect(linearScratchBytes('f16', 100)).toBe(4 * (128 + 8) * 100);
  expect(linearScratchBytes('q4_0', 4096)).toBe(4 * (128 + 8) * 512);
});
