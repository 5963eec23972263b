import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { expertSum } from '../../src/ops/expert_sum.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('expert_sum_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.expertSumF32;
  const sizes = fc.record({ nTokens: fc.nat(3), nChosen: fc.integer({ min: 1, max: 8 }), dim: laneLengths });

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, sizes, skews, (source, { nTokens, nChosen, dim }, skew) => {
      memory.reset();
      const x = hardFloats(source, nTokens * nChosen * dim, 1);
      const w = hardFloats(source, nTokens * nChosen, 2);
      const atX = memory.put(x, skew);
      const atW = memory.put(w, skew ^ 8);
      const y = memory.room(4 * nTokens * dim, skew ^ 4);
      kernel(y, atX, atW, nTokens, nChosen, dim);
      const expected = expertSum(tensor([nTokens, nChosen * dim], x), tensor([nTokens, nChosen], w)).data;
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });

  testKernel<Kernel>({
    name: 'expertSumF32',
    kernel: kernels.expertSumF32,
    sameBits,
    mutants: {
      'without its tail': (y, x, w, nTokens, nChosen, dim) => {
        if (dim % 4 === 0) kernels.expertSumF32(y, x, w, nTokens, nChosen, dim);
      },
      'the last expert first': (y, x, w, nTokens, nChosen, dim) => {
        const view = memory.view();
        for (let t = 0; t < nTokens; t++) {
          for (let i = 0; i < dim; i++) {
            let acc = 0;
            for (let j = nChosen - 1; j >= 0; j--) {
              const at = t * nChosen + j;
              acc = fround(acc + fround(view[w / 4 + at]! * view[x / 4 + at * dim + i]!));
            }
            view[y / 4 + t * dim + i] = acc;
          }
        }
      },
    },
  });
});
