import fc from 'fast-check';
import type { Kernels } from '../../src/exec/wasm/kernels.ts';
import { roundUpToBlock } from '../../src/kvcache/layout.ts';
import { floatSource, hardFloats, skews } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import { type TestMemory, UNWRITTEN } from './wasm_memory.ts';

export type KvWrite = Kernels['kvWriteKF32'];
type Index = (headDim: number, position: number, d: number) => number;

/** Rows land where the cache's own index says, over block borders, and nothing else of the cache changes. */
export function kvWriteCases(memory: TestMemory, index: Index): (kernel: KvWrite) => fc.IProperty<unknown> {
  const cases = fc.record({
    source: floatSource,
    position: fc.nat(40),
    nTokens: fc.nat(20),
    nKvHeads: fc.integer({ min: 1, max: 3 }),
    headDim: fc.integer({ min: 1, max: 18 }),
    gap: fc.constantFrom(0, 5),
    spare: fc.constantFrom(0, 7),
    skew: skews,
  });
  return (kernel) =>
    fc.property(cases, ({ source, position, nTokens, nKvHeads, headDim, gap, spare, skew }) => {
      memory.reset();
      const xStride = nKvHeads * headDim + gap;
      const x = hardFloats(source, nTokens * xStride);
      const headStride = roundUpToBlock(position + nTokens) * headDim + spare; // floats
      const atX = memory.put(x, skew);
      const cache = memory.room(4 * nKvHeads * headStride, skew ^ 8);
      kernel(cache, 4 * headStride, position, atX, xStride, nTokens, nKvHeads, headDim);

      const expected = new Float32Array(nKvHeads * headStride).fill(UNWRITTEN);
      for (let t = 0; t < nTokens; t++) {
        for (let h = 0; h < nKvHeads; h++) {
          for (let d = 0; d < headDim; d++) {
            expected[h * headStride + index(headDim, position + t, d)] = x[t * xStride + h * headDim + d]!;
          }
        }
      }
      assertSameBits('cache', memory.f32(cache, expected.length), expected);
      memory.check();
    });
}
