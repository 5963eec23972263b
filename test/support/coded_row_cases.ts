import fc from 'fast-check';
import type { KvPack, KvUnpack } from '../../src/exec/wasm/kv_kernels.ts';
import { codedBytes, type KvCode, packRow, unpackRow } from '../../src/kvcache/coded_rows.ts';
import { kIndex, LANE_POSITIONS, roundUpToBlock, vIndex } from '../../src/kvcache/layout.ts';
import { floatSource, hardFloats, randomBytes, skews } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import type { TestMemory } from './wasm_memory.ts';

const sizes = {
  nKvHeads: fc.integer({ min: 1, max: 3 }),
  headDim: fc.constantFrom(32, 64, 96),
  which: fc.constantFrom(0 as const, 1 as const),
  spare: fc.constantFrom(0, 16),
  skew: skews,
};

/** Halves of whole numbers beside a 127 or a -8: quotients that lie between two codes. */
function ties(n: number, seed: number): Float32Array {
  return Float32Array.from(randomBytes(seed, n), (b, i) => (i % 32 === 5 ? (b & 1 ? 127 : -8) : ((b & 31) - 16) / 2));
}

/** Rows of keys or values become the bytes of the twin, and nothing else of the page changes. */
export function packCases(memory: TestMemory, code: KvCode): (kernel: KvPack) => fc.IProperty<unknown> {
  const cases = fc.record({
    ...sizes,
    source: floatSource,
    isTies: fc.boolean(),
    position: fc.nat(40),
    nTokens: fc.nat(20),
    gap: fc.constantFrom(0, 5),
  });
  return (kernel) =>
    fc.property(cases, ({ source, isTies, position, nTokens, nKvHeads, headDim, which, gap, spare, skew }) => {
      memory.reset();
      const xStride = nKvHeads * headDim + gap;
      const x = isTies ? ties(nTokens * xStride, source.seed) : hardFloats(source, nTokens * xStride);
      const headStride = codedBytes(code, headDim, roundUpToBlock(position + nTokens)) + spare;
      const atX = memory.put(x, skew);
      const page = memory.room(nKvHeads * headStride, skew ^ 8);
      const expected = memory.bytes(page, nKvHeads * headStride);
      kernel(page, headStride, position, atX, xStride, nTokens, nKvHeads, headDim, which);
      for (let t = 0; t < nTokens; t++) {
        for (let h = 0; h < nKvHeads; h++) {
          const from = t * xStride + h * headDim;
          packRow(code, which, headDim, x, from, expected, h * headStride, position + t);
        }
      }
      assertSameBits('page', memory.bytes(page, expected.length), expected);
      memory.check();
    });
}

/** Any bytes at all give the numbers of the twin, in the order in which attention reads them. */
export function unpackCases(memory: TestMemory, code: KvCode): (kernel: KvUnpack) => fc.IProperty<unknown> {
  const cases = fc.record({ ...sizes, seed: fc.nat(), nGroups: fc.nat(4) });
  return (kernel) =>
    fc.property(cases, ({ seed, nGroups, nKvHeads, headDim, which, spare, skew }) => {
      memory.reset();
      const nPositions = LANE_POSITIONS * nGroups;
      const headStride = codedBytes(code, headDim, nPositions) + spare;
      const bytes = randomBytes(seed, nKvHeads * headStride);
      const from = memory.put(bytes, skew);
      const yStride = nPositions * headDim + spare;
      const y = memory.room(4 * nKvHeads * yStride, skew ^ 8);
      const expected = memory.f32(y, nKvHeads * yStride);
      kernel(y, 4 * yStride, from, headStride, nGroups, nKvHeads, headDim, which);
      const row = new Float32Array(headDim);
      const index = which === 0 ? kIndex : vIndex;
      for (let h = 0; h < nKvHeads; h++) {
        for (let p = 0; p < nPositions; p++) {
          unpackRow(code, which, headDim, bytes, h * headStride, p, row, 0);
          for (let d = 0; d < headDim; d++) expected[h * yStride + index(headDim, p, d)] = row[d]!;
        }
      }
      assertSameBits('rows', memory.f32(y, expected.length), expected);
      memory.check();
    });
}

/** Wrong packing kernels, made from a right one. */
export const packMutants = (kernel: KvPack): Record<string, KvPack> => ({
  'keys in the order of values': (to, hs, position, x, xs, nTokens, nKvHeads, headDim) =>
    kernel(to, hs, position, x, xs, nTokens, nKvHeads, headDim, 1),
  'from position 0 on': (to, hs, _position, x, xs, nTokens, nKvHeads, headDim, isValue) =>
    kernel(to, hs, 0, x, xs, nTokens, nKvHeads, headDim, isValue),
  'rows taken as dense': (to, hs, position, x, _xs, nTokens, nKvHeads, headDim, isValue) =>
    kernel(to, hs, position, x, nKvHeads * headDim, nTokens, nKvHeads, headDim, isValue),
});

export const unpackMutants = (kernel: KvUnpack): Record<string, KvUnpack> => ({
  'values in the order of keys': (y, ys, from, hs, nGroups, nKvHeads, headDim) =>
    kernel(y, ys, from, hs, nGroups, nKvHeads, headDim, 0),
  'the first block for all': (y, ys, from, hs, nGroups, nKvHeads, headDim, isValue) => {
    for (let g = 0; g < nGroups; g++) {
      kernel(y + 4 * g * LANE_POSITIONS * headDim, ys, from, hs, 1, nKvHeads, headDim, isValue);
    }
  },
  'the first head for all': (y, ys, from, _hs, nGroups, nKvHeads, headDim, isValue) =>
    kernel(y, ys, from, 0, nGroups, nKvHeads, headDim, isValue),
});
