import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { residualNorm } from '../../src/ops/residual_norm.ts';
import { slice } from '../../src/ops/slice.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

/** Where the sum and the norm are written: over which input, if any; a sum over which its norm is written is lost. */
const PLACES = [
  'apart',
  'sum over a',
  'sum over b',
  'sum over a, norm over b',
  'norm over a',
  'norm over sum',
] as const;

describeBuilds('residual_norm_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.residualNormF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(
      floatSource,
      fc.nat(3),
      laneLengths,
      fc.constantFrom(0, 1e-6, 1e-5, 1),
      skews,
      fc.constantFrom(...PLACES),
      (source, nTokens, dim, eps, skew, places) => {
        memory.reset();
        const shape = [nTokens, dim];
        const [a, b] = [hardFloats(source, nTokens * dim, 1), hardFloats(source, nTokens * dim, 2)];
        const g = hardFloats(source, dim, 3);
        const [atA, atB, atG] = [memory.put(a, skew), memory.put(b, skew ^ 4), memory.put(g, skew ^ 8)];
        const room = (isOver: string): number =>
          places.includes(`${isOver} over a`)
            ? atA
            : places.includes(`${isOver} over b`)
              ? atB
              : memory.room(4 * a.length, skew);
        const sum = room('sum');
        const norm = places === 'norm over sum' ? sum : room('norm');
        kernel(sum, norm, atA, atB, atG, nTokens, dim, eps);
        const both = residualNorm(tensor(shape, a), tensor(shape, b), tensor([dim], g), eps);
        if (sum !== norm) assertSameBits('sum', memory.f32(sum, a.length), slice(both, 0, dim).data);
        assertSameBits('norm', memory.f32(norm, a.length), slice(both, dim, dim).data);
        memory.check([sum, norm].filter((at) => at === atA || at === atB));
      },
    );

  testKernel<Kernel>({
    name: 'residualNormF32',
    kernel: kernels.residualNormF32,
    sameBits,
    mutants: {
      'the norm of the first input': (sum, norm, a, b, g, nTokens, dim, eps) => {
        const m = memory.view();
        const first = m.slice(a / 4, a / 4 + nTokens * dim);
        kernels.residualNormF32(sum, norm, a, b, g, nTokens, dim, eps);
        const kept = m.slice(sum / 4, sum / 4 + nTokens * dim);
        m.set(first, sum / 4);
        kernels.rmsNormF32(norm, sum, g, nTokens, dim, eps);
        if (sum !== norm) m.set(kept, sum / 4);
      },
      'one row less': (sum, norm, a, b, g, nTokens, dim, eps) =>
        kernels.residualNormF32(sum, norm, a, b, g, nTokens - 1, dim, eps),
      'no eps': (sum, norm, a, b, g, nTokens, dim) => kernels.residualNormF32(sum, norm, a, b, g, nTokens, dim, 0),
    },
  });
});
