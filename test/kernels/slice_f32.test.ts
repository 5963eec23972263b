import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { slice } from '../../src/ops/slice.ts';
import { floatSource, hardFloats, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('slice_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.sliceF32;
  const sizes = fc.record({ nTokens: fc.nat(4), from: fc.nat(9), width: fc.nat(20), behind: fc.nat(9) });

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, sizes, skews, (source, { nTokens, from, width, behind }, skew) => {
      memory.reset();
      const n = from + width + behind;
      const x = hardFloats(source, nTokens * n);
      const atX = memory.put(x, skew);
      const y = memory.room(4 * nTokens * width, skew ^ 8);
      kernel(y, atX + 4 * from, n, nTokens, width);
      assertSameBits('y', memory.f32(y, nTokens * width), slice(tensor([nTokens, n], x), from, width).data);
      memory.check();
    });

  testKernel<Kernel>({
    name: 'sliceF32',
    kernel: kernels.sliceF32,
    sameBits,
    mutants: {
      'rows taken as dense': (y, x, _xStride, nTokens, width) => kernels.sliceF32(y, x, width, nTokens, width),
      'one column more': (y, x, xStride, nTokens, width) => kernels.sliceF32(y, x, xStride, nTokens, width + 1),
    },
  });
});
