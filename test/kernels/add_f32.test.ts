import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { add } from '../../src/ops/add.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('add_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.addF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, skews, fc.boolean(), (source, n, skewA, skewB, inPlace) => {
      memory.reset();
      const a = hardFloats(source, n, 1);
      const b = hardFloats(source, n, 2);
      const atA = memory.put(a, skewA);
      const atB = memory.put(b, skewB);
      const y = inPlace ? atB : memory.room(4 * n, skewB);
      kernel(y, atA, atB, n);
      assertSameBits('y', memory.f32(y, n), add(tensor([n], a), tensor([n], b)).data);
      memory.check(inPlace ? [atB] : []);
    });

  testKernel<Kernel>({
    name: 'addF32',
    kernel: kernels.addF32,
    sameBits,
    mutants: {
      'without its tail': (y, a, b, n) => kernels.addF32(y, a, b, n & ~3),
      'with a tail of whole vectors': (y, a, b, n) => kernels.addF32(y, a, b, (n + 3) & ~3),
    },
  });
});
