import { testKernel } from '../support/kernel_property.ts';
import { ropeCases } from '../support/rope_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('rope_f32_pairs', ({ kernels, memory }) => {
  testKernel({
    name: 'ropeF32Pairs',
    kernel: kernels.ropeF32Pairs,
    sameBits: ropeCases(memory, 'pairs'),
    mutants: {
      'the other layout': kernels.ropeF32Halves,
      'sine and cosine exchanged': (y, yStride, x, xStride, at, cos, sin, nTokens, nHeads, headDim, ropeDim) =>
        kernels.ropeF32Pairs(y, yStride, x, xStride, at, sin, cos, nTokens, nHeads, headDim, ropeDim),
      'the first head alone': (y, yStride, x, xStride, at, cos, sin, nTokens, _nHeads, headDim, ropeDim) =>
        kernels.ropeF32Pairs(y, yStride, x, xStride, at, cos, sin, nTokens, 1, headDim, ropeDim),
    },
  });
});
