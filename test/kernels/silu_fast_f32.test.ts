import fc from 'fast-check';
import { test } from 'vitest';
import { tensor } from '../../src/core/tensor.ts';
import { siluFast } from '../../src/ops/silu_fast.ts';
import { f32Sweep } from '../support/floats.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('silu_fast_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.siluFastF32;

  /** Values up to +-120, where the exponential under- and overflows. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.boolean(), (source, n, skew, inPlace, large) => {
      memory.reset();
      const x = hardFloats(source, n).map((v) => (large ? v * 120 : v));
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n);
      assertSameBits('y', memory.f32(y, n), siluFast(tensor([n], x)).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'siluFastF32',
    kernel: kernels.siluFastF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n) => kernels.siluFastF32(y, x, n & ~3),
      'with the long polynomial': (y, x, n) => kernels.siluF32(y, x, n),
      "with the host's exp": (y, x, n) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) {
          const v = view[x / 4 + i]!;
          view[y / 4 + i] = v / fround(1 + fround(Math.exp(-v)));
        }
      },
    },
  });

  test('the exponential in lanes has the bits of expFast32 over a sweep of all f32', () => {
    memory.reset();
    const x = Float32Array.from(f32Sweep(40_009)); // about 107,000 numbers
    const at = memory.put(x);
    kernels.siluFastF32(at, at, x.length);
    assertSameBits('silu', memory.f32(at, x.length), siluFast(tensor([x.length], x)).data);
  });
});
