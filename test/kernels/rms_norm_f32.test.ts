import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { rmsNorm } from '../../src/ops/rms_norm.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround, sqrt } = Math;

describeBuilds('rms_norm_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.rmsNormF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(
      floatSource,
      fc.nat(3),
      laneLengths,
      fc.constantFrom(0, 1e-6, 1e-5, 1),
      skews,
      fc.boolean(),
      (source, nTokens, dim, eps, skew, inPlace) => {
        memory.reset();
        const x = hardFloats(source, nTokens * dim, 1);
        const g = hardFloats(source, dim, 2);
        const atX = memory.put(x, skew);
        const atG = memory.put(g, skew ^ 4);
        const y = inPlace ? atX : memory.room(4 * x.length, skew);
        kernel(y, atX, atG, nTokens, dim, eps);
        const expected = rmsNorm(tensor([nTokens, dim], x), tensor([dim], g), eps);
        assertSameBits('y', memory.f32(y, x.length), expected.data);
        memory.check(inPlace ? [atX] : []);
      },
    );

  testKernel<Kernel>({
    name: 'rmsNormF32',
    kernel: kernels.rmsNormF32,
    sameBits,
    mutants: {
      'the sum runs straight through the row': (y, x, g, nTokens, dim, eps) => {
        const m = memory.view();
        for (let t = 0; t < nTokens; t++) {
          const row = x / 4 + t * dim;
          let sum = 0;
          for (let i = 0; i < dim; i++) sum = fround(sum + fround(m[row + i]! ** 2));
          const r = fround(1 / fround(sqrt(fround(fround(sum / dim) + fround(eps)))));
          for (let i = 0; i < dim; i++) m[y / 4 + t * dim + i] = fround(m[row + i]! * r) * m[g / 4 + i]!;
        }
      },
      'one row less': (y, x, g, nTokens, dim, eps) => kernels.rmsNormF32(y, x, g, nTokens - 1, dim, eps),
    },
  });
});
