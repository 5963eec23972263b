import { vIndex } from '../../src/kvcache/layout.ts';
import { testKernel } from '../support/kernel_property.ts';
import { kvWriteCases } from '../support/kv_write_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('kv_write_v_f32', ({ kernels, memory }) => {
  testKernel({
    name: 'kvWriteVF32',
    kernel: kernels.kvWriteVF32,
    sameBits: kvWriteCases(memory, vIndex),
    mutants: {
      'the order of the other cache': kernels.kvWriteKF32,
      'rows taken as dense': (v, headStride, position, x, _xStride, nTokens, nKvHeads, headDim) =>
        kernels.kvWriteVF32(v, headStride, position, x, nKvHeads * headDim, nTokens, nKvHeads, headDim),
      'from position 0 on': (v, headStride, _position, x, xStride, nTokens, nKvHeads, headDim) =>
        kernels.kvWriteVF32(v, headStride, 0, x, xStride, nTokens, nKvHeads, headDim),
    },
  });
});
