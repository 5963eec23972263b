import { describe, expect, test } from 'vitest';
import { DTYPES, type DType, rowBytes } from '../../../src/core/dtype.ts';
import { CapacityError, ShapeError } from '../../../src/core/errors.ts';
import {
  KEY_BLOCK,
  keyBytes,
  packedBytes,
  panelCount,
  panelRows,
  scoreStride,
  valueBytes,
} from '../../../src/exec/wasm/layout.ts';
import { kIndex, LANE_POSITIONS, vIndex } from '../../../src/kvcache/layout.ts';

describe('packed sizes', () => {
  test.each(Object.keys(DTYPES) as DType[])('%s: whole panels take what the file takes', (dtype) => {
    const nOut = 3 * panelRows(dtype);
    expect(packedBytes(dtype, nOut, 64)).toBe(nOut * rowBytes(dtype, 64));
    // One row more costs one panel.
    expect(packedBytes(dtype, nOut + 1, 64)).toBe((nOut + panelRows(dtype)) * rowBytes(dtype, 64));
    expect(panelCount(dtype, nOut + 1)).toBe(4);
    expect(packedBytes(dtype, 0, 64)).toBe(0);
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

describe('cache sizes agree with the cache', () => {
  test('keys and values', () => {
    expect(KEY_BLOCK).toBe(LANE_POSITIONS);
    for (const n of [1, 15, 16, 17, 40]) {
      for (const headDim of [1, 8, 80]) {
        expect(keyBytes(n, headDim)).toBeGreaterThanOrEqual(4 * (kIndex(headDim, n - 1, headDim - 1) + 1));
        expect(valueBytes(n, headDim)).toBe(4 * (vIndex(headDim, n - 1, headDim - 1) + 1));
        expect(scoreStride(n) % KEY_BLOCK).toBe(0);
      }
    }
  });
});
