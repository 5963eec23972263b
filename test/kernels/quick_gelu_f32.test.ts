import fc from 'fast-check';
import { exp32 } from '../../src/core/math_f32.ts';
import { tensor } from '../../src/core/tensor.ts';
import { quickGelu } from '../../src/ops/quick_gelu.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('quick_gelu_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.quickGeluF32;

  /** Values up to +-120, where the exponential under- and overflows. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.boolean(), (source, n, skew, inPlace, large) => {
      memory.reset();
      const x = hardFloats(source, n).map((v) => (large ? v * 120 : v));
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n);
      assertSameBits('y', memory.f32(y, n), quickGelu(tensor([n], x)).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'quickGeluF32',
    kernel: kernels.quickGeluF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n) => kernels.quickGeluF32(y, x, n & ~3),
      'silu, whose slope is 1': (y, x, n) => kernels.siluF32(y, x, n),
      'with the slope rounded to three digits': (y, x, n) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) {
          const v = view[x / 4 + i]!;
          view[y / 4 + i] = v / fround(1 + exp32(-fround(v * fround(1.7))));
        }
      },
      "with the host's exp": (y, x, n) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) {
          const v = view[x / 4 + i]!;
          view[y / 4 + i] = v / fround(1 + fround(Math.exp(-fround(v * fround(1.702)))));
        }
      },
    },
  });
});
