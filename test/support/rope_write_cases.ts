import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import type { Kernels } from '../../src/exec/wasm/kernels.ts';
import { kIndex, roundUpToBlock } from '../../src/kvcache/layout.ts';
import { rope } from '../../src/ops/rope.ts';
import { floatSource, hardFloats, skews } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import { type TestMemory, UNWRITTEN } from './wasm_memory.ts';

type RopeWrite = Kernels['ropeWriteKF32'];

const MAX_ANGLE = 9;

/**
 * Rows are turned by the angles of their own positions and land where the cache's index says, over block borders; the row of the cache
 * is another one than the position where rows were dropped. Nothing else of the cache changes.
 */
export function ropeWriteCases(memory: TestMemory): (kernel: RopeWrite) => fc.IProperty<unknown> {
  const cases = fc.record({
    source: floatSource,
    position: fc.nat(40),
    angles: fc.array(fc.nat(MAX_ANGLE), { maxLength: 20 }),
    layout: fc.constantFrom('pairs' as const, 'halves' as const),
    nKvHeads: fc.integer({ min: 1, max: 3 }),
    halfDim: fc.nat(11),
    rest: fc.constantFrom(0, 0, 1, 2, 5),
    gap: fc.constantFrom(0, 5),
    spare: fc.constantFrom(0, 7),
    skew: skews,
  });
  return (kernel) =>
    fc.property(cases, ({ source, position, angles, layout, nKvHeads, halfDim, rest, gap, spare, skew }) => {
      memory.reset();
      const nTokens = angles.length;
      const headDim = Math.max(1, 2 * halfDim + rest);
      const width = nKvHeads * headDim;
      const xStride = width + gap;
      const x = hardFloats(source, nTokens * xStride, 1);
      const table = {
        cos: hardFloats({ ...source, kind: 'plain' }, (MAX_ANGLE + 1) * halfDim, 2),
        sin: hardFloats({ ...source, kind: 'plain' }, (MAX_ANGLE + 1) * halfDim, 3),
        halfDim,
      };
      const headStride = roundUpToBlock(position + nTokens) * headDim + spare; // floats
      const atX = memory.put(x, skew);
      const at = memory.put(Int32Array.from(angles));
      const cos = memory.put(table.cos, skew ^ 8);
      const sin = memory.put(table.sin, skew ^ 4);
      const cache = memory.room(4 * nKvHeads * headStride, skew ^ 8);
      const isPairs = layout === 'pairs' ? 1 : 0;
      // biome-ignore format: the kernel's arguments in its own order
      kernel(
        cache, 4 * headStride, position, atX, xStride, at, cos, sin, nTokens, nKvHeads, headDim, 2 * halfDim, isPairs,
      );

      const dense = new Float32Array(nTokens * width);
      for (let t = 0; t < nTokens; t++) dense.set(x.subarray(t * xStride, t * xStride + width), t * width);
      const turned = rope(tensor([nTokens, nKvHeads, headDim], dense), Int32Array.from(angles), table, layout).data;
      const expected = new Float32Array(nKvHeads * headStride).fill(UNWRITTEN);
      turned.forEach((v, i) => {
        const [t, h, d] = [Math.floor(i / width), Math.floor(i / headDim) % nKvHeads, i % headDim];
        expected[h * headStride + kIndex(headDim, position + t, d)] = v;
      });
      assertSameBits('cache', memory.f32(cache, expected.length), expected);
      memory.check();
    });
}
