import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { addBias } from '../../src/ops/add_bias.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('add_bias_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.addBiasF32;

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, fc.nat(3), laneLengths, skews, fc.boolean(), (source, nTokens, n, skew, inPlace) => {
      memory.reset();
      const x = hardFloats(source, nTokens * n, 1);
      const b = hardFloats(source, n, 2);
      const atX = memory.put(x, skew);
      const atB = memory.put(b, skew ^ 4);
      const y = inPlace ? atX : memory.room(4 * x.length, skew);
      kernel(y, atX, atB, nTokens, n);
      assertSameBits('y', memory.f32(y, x.length), addBias(tensor([nTokens, n], x), tensor([n], b)).data);
      memory.check(inPlace ? [atX] : []);
    });

  testKernel<Kernel>({
    name: 'addBiasF32',
    kernel: kernels.addBiasF32,
    sameBits,
    mutants: {
      'the rows are one long row': (y, x, b, nTokens, n) => kernels.addBiasF32(y, x, b, 1, nTokens * n),
      'without its tail': (y, x, b, nTokens, n) => kernels.addBiasF32(y, x, b, nTokens, n & ~3),
    },
  });
});
