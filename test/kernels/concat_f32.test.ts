import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { concat } from '../../src/ops/concat.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('concat_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.concatF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, laneLengths, fc.nat(4), skews, (source, n, m, nRows, skew) => {
      memory.reset();
      const a = hardFloats(source, nRows * n, 1);
      const b = hardFloats(source, nRows * m, 2);
      const atA = memory.put(a, skew);
      const atB = memory.put(b, skew ^ 8);
      const y = memory.room(4 * nRows * (n + m), skew ^ 4);
      kernel(y, atA, n, atB, m, nRows);
      const expected = concat(tensor([nRows, n], a), tensor([nRows, m], b)).data;
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });

  testKernel<Kernel>({
    name: 'concatF32',
    kernel: kernels.concatF32,
    sameBits,
    mutants: {
      'b before a': (y, a, n, b, m, nRows) => kernels.concatF32(y, b, m, a, n, nRows),
      'the last row is forgotten': (y, a, n, b, m, nRows) => kernels.concatF32(y, a, n, b, m, Math.max(0, nRows - 1)),
    },
  });
});
