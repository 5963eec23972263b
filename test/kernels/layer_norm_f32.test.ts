import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround, sqrt } = Math;

describeBuilds('layer_norm_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.layerNormF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(
      floatSource,
      fc.nat(3),
      laneLengths,
      fc.constantFrom(0, 1e-12, 1e-5, 1),
      skews,
      fc.boolean(),
      (source, nTokens, dim, eps, skew, inPlace) => {
        memory.reset();
        const x = hardFloats(source, nTokens * dim, 1);
        const g = hardFloats(source, dim, 2);
        const b = hardFloats(source, dim, 3);
        const atX = memory.put(x, skew);
        const atG = memory.put(g, skew ^ 4);
        const atB = memory.put(b, skew ^ 8);
        const y = inPlace ? atX : memory.room(4 * x.length, skew);
        kernel(y, atX, atG, atB, nTokens, dim, eps);
        const expected = layerNorm(tensor([nTokens, dim], x), tensor([dim], g), tensor([dim], b), eps);
        assertSameBits('y', memory.f32(y, x.length), expected.data);
        memory.check(inPlace ? [atX] : []);
      },
    );

  testKernel<Kernel>({
    name: 'layerNormF32',
    kernel: kernels.layerNormF32,
    sameBits,
    mutants: {
      // mean(x^2) - mean(x)^2 loses all digits where the mean is large
      'the variance in one pass': (y, x, g, b, nTokens, dim, eps) => {
        const m = memory.view();
        for (let t = 0; t < nTokens; t++) {
          const row = x / 4 + t * dim;
          let [sum, squares] = [0, 0];
          for (let i = 0; i < dim; i++) {
            sum = fround(sum + m[row + i]!);
            squares = fround(squares + fround(m[row + i]! ** 2));
          }
          const mean = fround(sum / dim);
          const variance = fround(fround(squares / dim) - fround(mean * mean));
          const r = fround(1 / fround(sqrt(fround(variance + fround(eps)))));
          for (let i = 0; i < dim; i++) {
            const scaled = fround(fround(fround(m[row + i]! - mean) * r) * m[g / 4 + i]!);
            m[y / 4 + t * dim + i] = scaled + m[b / 4 + i]!;
          }
        }
      },
      'one row less': (y, x, g, b, nTokens, dim, eps) => kernels.layerNormF32(y, x, g, b, nTokens - 1, dim, eps),
    },
  });
});
