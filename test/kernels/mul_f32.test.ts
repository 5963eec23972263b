import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { mul } from '../../src/ops/mul.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('mul_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.mulF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, skews, fc.boolean(), (source, n, skewA, skewB, inPlace) => {
      memory.reset();
      const a = hardFloats(source, n, 1);
      const b = hardFloats(source, n, 2);
      const atA = memory.put(a, skewA);
      const atB = memory.put(b, skewB);
      const y = inPlace ? atB : memory.room(4 * n, skewB);
      kernel(y, atA, atB, n);
      assertSameBits('y', memory.f32(y, n), mul(tensor([n], a), tensor([n], b)).data);
      memory.check(inPlace ? [atB] : []);
    });

  testKernel<Kernel>({
    name: 'mulF32',
    kernel: kernels.mulF32,
    sameBits,
    mutants: {
      'without its tail': (y, a, b, n) => kernels.mulF32(y, a, b, n & ~3),
      'with a tail of whole vectors': (y, a, b, n) => kernels.mulF32(y, a, b, (n + 3) & ~3),
    },
  });
});
