import { kIndex } from '../../src/kvcache/layout.ts';
import { testKernel } from '../support/kernel_property.ts';
import { kvWriteCases } from '../support/kv_write_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('kv_write_k_f32', ({ kernels, memory }) => {
  testKernel({
    name: 'kvWriteKF32',
    kernel: kernels.kvWriteKF32,
    sameBits: kvWriteCases(memory, kIndex),
    mutants: {
      'the order of the other cache': kernels.kvWriteVF32,
      'rows taken as dense': (k, headStride, position, x, _xStride, nTokens, nKvHeads, headDim) =>
        kernels.kvWriteKF32(k, headStride, position, x, nKvHeads * headDim, nTokens, nKvHeads, headDim),
      'from position 0 on': (k, headStride, _position, x, xStride, nTokens, nKvHeads, headDim) =>
        kernels.kvWriteKF32(k, headStride, 0, x, xStride, nTokens, nKvHeads, headDim),
    },
  });
});
