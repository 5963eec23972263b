import { testKernel } from '../support/kernel_property.ts';
import { ropeCases } from '../support/rope_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('rope_f32_halves', ({ kernels, memory }) => {
  testKernel({
    name: 'ropeF32Halves',
    kernel: kernels.ropeF32Halves,
    sameBits: ropeCases(memory, 'halves'),
    mutants: {
      'the other layout': kernels.ropeF32Pairs,
      'sine and cosine exchanged': (y, yStride, x, xStride, at, cos, sin, nTokens, nHeads, headDim, ropeDim) =>
        kernels.ropeF32Halves(y, yStride, x, xStride, at, sin, cos, nTokens, nHeads, headDim, ropeDim),
      'the first head alone': (y, yStride, x, xStride, at, cos, sin, nTokens, _nHeads, headDim, ropeDim) =>
        kernels.ropeF32Halves(y, yStride, x, xStride, at, cos, sin, nTokens, 1, headDim, ropeDim),
    },
  });
});
