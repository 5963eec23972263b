import fc from 'fast-check';
import { test } from 'vitest';
import { tensor } from '../../src/core/tensor.ts';
import { geluTanh } from '../../src/ops/gelu_tanh.ts';
import { f32Sweep } from '../support/floats.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('gelu_tanh_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.geluTanhF32;

  /** Values up to +-120: tanh bends below 4 and is 1 from there on. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.boolean(), (source, n, skew, inPlace, large) => {
      memory.reset();
      const x = hardFloats(source, n).map((v) => (large ? v * 120 : v * 4));
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n);
      assertSameBits('y', memory.f32(y, n), geluTanh(tensor([n], x)).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'geluTanhF32',
    kernel: kernels.geluTanhF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n) => kernels.geluTanhF32(y, x, n & ~3),
      'with the erf that it approximates': (y, x, n) => kernels.geluF32(y, x, n),
      "with the host's tanh": (y, x, n) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) {
          const v = view[x / 4 + i]!;
          const inner = Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3);
          view[y / 4 + i] = fround(v * 0.5) * fround(1 + fround(Math.tanh(inner)));
        }
      },
    },
  });

  test('tanh in lanes has the bits of tanh32 over a sweep of all f32', () => {
    memory.reset();
    const x = Float32Array.from(f32Sweep(40_009)); // about 107,000 numbers
    const at = memory.put(x);
    kernels.geluTanhF32(at, at, x.length);
    assertSameBits('gelu_tanh', memory.f32(at, x.length), geluTanh(tensor([x.length], x)).data);
  });
});
