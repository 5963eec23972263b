import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { sigmoid } from '../../src/ops/sigmoid.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('sigmoid_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.sigmoidF32;

  /** Values up to +-120, where the exponential under- and overflows. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.boolean(), (source, n, skew, inPlace, large) => {
      memory.reset();
      const x = hardFloats(source, n).map((v) => (large ? v * 120 : v));
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n);
      assertSameBits('y', memory.f32(y, n), sigmoid(tensor([n], x)).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'sigmoidF32',
    kernel: kernels.sigmoidF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n) => kernels.sigmoidF32(y, x, n & ~3),
      'silu, which is x times it': (y, x, n) => kernels.siluF32(y, x, n),
      "with the host's exp": (y, x, n) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) view[y / 4 + i] = 1 / fround(1 + fround(Math.exp(-view[x / 4 + i]!)));
      },
    },
  });
});
