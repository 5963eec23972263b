import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import type { RopeF32 } from '../../src/exec/wasm/kernels.ts';
import { type RopeLayout, rope } from '../../src/ops/rope.ts';
import { floatSource, hardFloats, skews } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import { type TestMemory, UNWRITTEN } from './wasm_memory.ts';

const MAX_POSITION = 9;

/** A rope kernel has the bits of its twin: any positions, strides, ropeDim below headDim, in place or not. */
export function ropeCases(memory: TestMemory, layout: RopeLayout): (kernel: RopeF32) => fc.IProperty<unknown> {
  const cases = fc.record({
    source: floatSource,
    positions: fc.array(fc.nat(MAX_POSITION), { maxLength: 4 }),
    nHeads: fc.integer({ min: 1, max: 3 }),
    halfDim: fc.integer({ min: 1, max: 11 }),
    rest: fc.constantFrom(0, 0, 1, 2, 5),
    gap: fc.constantFrom(0, 3, 4),
    skew: skews,
    inPlace: fc.boolean(),
  });
  return (kernel) =>
    fc.property(cases, ({ source, positions, nHeads, halfDim, rest, gap, skew, inPlace }) => {
      memory.reset();
      const nTokens = positions.length;
      const headDim = 2 * halfDim + rest;
      const width = nHeads * headDim;
      const xStride = width + gap;
      const yStride = inPlace ? xStride : width + 2 * gap;
      const x = hardFloats(source, nTokens * xStride, 1);
      const angles = {
        cos: hardFloats({ ...source, kind: 'plain' }, (MAX_POSITION + 1) * halfDim, 2),
        sin: hardFloats({ ...source, kind: 'plain' }, (MAX_POSITION + 1) * halfDim, 3),
        halfDim,
      };
      const atX = memory.put(x, skew);
      const at = memory.put(Int32Array.from(positions));
      const cos = memory.put(angles.cos, skew ^ 8);
      const sin = memory.put(angles.sin, skew ^ 4);
      const y = inPlace ? atX : memory.room(4 * nTokens * yStride, skew);
      kernel(y, yStride, atX, xStride, at, cos, sin, nTokens, nHeads, headDim, 2 * halfDim);

      const dense = new Float32Array(nTokens * width);
      for (let t = 0; t < nTokens; t++) dense.set(x.subarray(t * xStride, t * xStride + width), t * width);
      const turned = rope(tensor([nTokens, nHeads, headDim], dense), Int32Array.from(positions), angles, layout).data;
      const expected = inPlace ? x.slice() : new Float32Array(nTokens * yStride).fill(UNWRITTEN);
      for (let t = 0; t < nTokens; t++) expected.set(turned.subarray(t * width, (t + 1) * width), t * yStride);
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check(inPlace ? [atX] : []);
    });
}
