import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kIndex, LANE_POSITIONS, roundUpToBlock, vIndex } from '../../src/kvcache/layout.ts';

const sizes = fc.record({ headDim: fc.integer({ min: 1, max: 9 }), nBlocks: fc.integer({ min: 1, max: 4 }) });

test.each([
  ['K', kIndex],
  ['V', vIndex],
])('%s: every element has a place of its own, and whole blocks leave no hole', (_name, index) => {
  fc.assert(
    fc.property(sizes, ({ headDim, nBlocks }) => {
      const nPositions = nBlocks * LANE_POSITIONS;
      const taken = new Set<number>();
      for (let p = 0; p < nPositions; p++) for (let d = 0; d < headDim; d++) taken.add(index(headDim, p, d));
      expect(taken.size).toBe(nPositions * headDim);
      expect(Math.max(...taken)).toBe(nPositions * headDim - 1);
      expect(Math.min(...taken)).toBe(0);
    }),
  );
});

test('neighbouring lanes are neighbouring positions in K, and head dims in V', () => {
  for (let p = 0; p < 40; p++) {
    if ((p + 1) % LANE_POSITIONS !== 0) expect(kIndex(8, p + 1, 3)).toBe(kIndex(8, p, 3) + 1);
    expect(vIndex(8, p, 4)).toBe(vIndex(8, p, 3) + 1);
  }
});

test('a block starts where a run may start', () => {
  expect(kIndex(8, LANE_POSITIONS, 0)).toBe(LANE_POSITIONS * 8);
  expect([0, 1, 15, 16, 17].map(roundUpToBlock)).toEqual([0, 16, 16, 16, 32]);
});
