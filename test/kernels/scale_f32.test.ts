import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { scale } from '../../src/ops/scale.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('scale_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.scaleF32;

  /** by: roots, as models have them, which f32 rounds. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.nat(5000), (source, n, skew, inPlace, dim) => {
      memory.reset();
      const x = hardFloats(source, n);
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n, Math.sqrt(dim));
      assertSameBits('y', memory.f32(y, n), scale(tensor([n], x), Math.sqrt(dim)).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'scaleF32',
    kernel: kernels.scaleF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n, by) => kernels.scaleF32(y, x, n & ~3, by),
      'with a factor of fewer digits': (y, x, n, by) => kernels.scaleF32(y, x, n, Math.round(by * 256) / 256),
      twice: (y, x, n, by) => {
        kernels.scaleF32(y, x, n, by);
        kernels.scaleF32(y, y, n, by);
      },
    },
  });
});
