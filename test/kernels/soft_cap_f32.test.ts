import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { softCap } from '../../src/ops/soft_cap.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const caps = fc.constantFrom(30, 50, 0.7, Math.fround(1 / 3));

describeBuilds('soft_cap_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.softCapF32;

  /** From where it is nearly a straight line to where it is the cap to the last bit. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), caps, (source, n, skew, inPlace, cap) => {
      memory.reset();
      const x = hardFloats(source, n).map((v, i) => v * [1, 30, 3000][i % 3]!);
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n, cap);
      assertSameBits('y', memory.f32(y, n), softCap(tensor([n], x), cap).data);
      memory.check(inPlace ? [at] : []);
    });

  testKernel<Kernel>({
    name: 'softCapF32',
    kernel: kernels.softCapF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n, cap) => kernels.softCapF32(y, x, n & ~3, cap),
      'not stretched again': (y, x, n, cap) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) view[y / 4 + i] = view[x / 4 + i]! / cap;
        kernels.tanhF32(y, y, n);
      },
      'times one over the cap': (y, x, n, cap) => {
        const view = memory.view();
        for (let i = 0; i < n; i++) view[y / 4 + i] = view[x / 4 + i]! * Math.fround(1 / cap);
        kernels.tanhF32(y, y, n);
        for (let i = 0; i < n; i++) view[y / 4 + i] = view[y / 4 + i]! * cap;
      },
    },
  });
});
