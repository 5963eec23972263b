import fc from 'fast-check';
import { test } from 'vitest';
import { tensor } from '../../src/core/tensor.ts';
import { tanhOf } from '../../src/ops/tanh.ts';
import { f32Sweep } from '../support/floats.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('tanh_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.tanhF32;

  /** Values up to +-120: tanh bends below 4 and is 1 from 10 on. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.boolean(), (source, n, skew, inPlace, large) => {
      memory.reset();
      const x = hardFloats(source, n).map((v) => (large ? v * 120 : v * 4));
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n);
      assertSameBits('y', memory.f32(y, n), tanhOf(tensor([n], x)).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'tanhF32',
    kernel: kernels.tanhF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n) => kernels.tanhF32(y, x, n & ~3),
      "with the host's tanh": (y, x, n) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) view[y / 4 + i] = Math.tanh(view[x / 4 + i]!);
      },
    },
  });

  test('it has the bits of tanh32 over a sweep of all f32', () => {
    memory.reset();
    const x = Float32Array.from(f32Sweep(40_009)); // about 107,000 numbers
    const at = memory.put(x);
    kernels.tanhF32(at, at, x.length);
    assertSameBits('tanh', memory.f32(at, x.length), tanhOf(tensor([x.length], x)).data);
  });
});
