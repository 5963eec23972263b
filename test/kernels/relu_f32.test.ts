import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { relu } from '../../src/ops/relu.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('relu_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.reluF32;

  /** Zeros of both signs and NaN among them. */
  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, skews, fc.boolean(), fc.nat(9), (source, n, skew, inPlace, special) => {
      memory.reset();
      const x = hardFloats(source, n);
      if (special < n) x[special] = [-0, NaN, -Infinity, Infinity][special % 4]!;
      const at = memory.put(x, skew);
      const y = inPlace ? at : memory.room(4 * n, skew);
      kernel(y, at, n);
      assertSameBits('y', memory.f32(y, n), relu(tensor([n], x)).data);
      memory.check(inPlace ? [at] : []);
    });

  const each =
    (of: (v: number) => number): Kernel =>
    (y, x, n) => {
      const view = memory.view();
      for (let i = 0; i < n; i++) view[y / 4 + i] = of(view[x / 4 + i]!);
    };

  testKernel<Kernel>({
    name: 'reluF32',
    kernel: kernels.reluF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, n) => kernels.reluF32(y, x, n & ~3),
      'keeps -0': each((v) => (Object.is(v, -0) ? v : Math.max(v, 0))),
      'makes NaN 0': each((v) => (Number.isNaN(v) ? 0 : Math.max(v, 0))),
    },
  });
});
