import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { linear } from '../../src/ops/linear.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('linear_f32_wide', ({ kernels, memory }) => {
  type Kernel = typeof kernels.linearF32Wide;
  const sizes = fc.record({ nTokens: fc.nat(9), nIn: laneLengths, nRows: fc.nat(5), gap: fc.nat(3) });

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, sizes, skews, fc.boolean(), (source, { nTokens, nIn, nRows, gap }, skew, cancels) => {
      memory.reset();
      const x = hardFloats(source, nTokens * (nIn + gap), 1);
      const w = hardFloats(source, nRows * nIn, 2);
      // 1 + 2^60 - 2^60 is 0 from the first to the last, and 1 the other way.
      if (cancels && nIn >= 3) {
        for (let t = 0; t < nTokens; t++) x.set([1, 2 ** 60, -(2 ** 60)], t * (nIn + gap));
        for (let o = 0; o < nRows; o++) w.set([1, 1, 1], o * nIn);
      }
      const atX = memory.put(x, skew);
      const atW = memory.put(w, skew ^ 8);
      const y = memory.room(4 * nTokens * nRows, skew ^ 4);
      kernel(y, nRows, atX, nIn + gap, nTokens, nIn, atW, nRows);
      const rows = new Float32Array(nTokens * nIn);
      for (let t = 0; t < nTokens; t++) rows.set(x.subarray(t * (nIn + gap), t * (nIn + gap) + nIn), t * nIn);
      const matrix = {
        name: 'w',
        dtype: 'f32',
        shape: [nRows, nIn],
        bytes: new Uint8Array(w.buffer, w.byteOffset, w.byteLength),
      } as const;
      const expected = linear(tensor([nTokens, nIn], rows), matrix, 'f32', 'f64').data;
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });

  const sumsOf =
    (add: (acc: number, a: number, b: number) => number, isReversed = false): Kernel =>
    (y, yStride, x, xStride, nTokens, nIn, w, nRows) => {
      const m = memory.view();
      for (let t = 0; t < nTokens; t++) {
        for (let o = 0; o < nRows; o++) {
          let acc = 0;
          for (let i = 0; i < nIn; i++) {
            const k = isReversed ? nIn - 1 - i : i;
            acc = add(acc, m[x / 4 + t * xStride + k]!, m[w / 4 + o * nIn + k]!);
          }
          m[y / 4 + t * yStride + o] = acc;
        }
      }
    };

  testKernel<Kernel>({
    name: 'linearF32Wide',
    kernel: kernels.linearF32Wide,
    sameBits,
    mutants: {
      'sums in f32': sumsOf((acc, a, b) => fround(acc + fround(a * b))),
      'products rounded to f32': sumsOf((acc, a, b) => acc + fround(a * b)),
      'from the last to the first': sumsOf((acc, a, b) => acc + a * b, true),
      'a row less': (y, yStride, x, xStride, nTokens, nIn, w, nRows) =>
        kernels.linearF32Wide(y, yStride, x, xStride, nTokens, nIn, w, nRows - 1),
    },
  });
});
