import { packCases, packMutants } from '../support/coded_row_cases.ts';
import { testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('kv_pack_q8_0', ({ kernels, memory }) => {
  testKernel({
    name: 'kvPackQ80',
    kernel: kernels.kvPackQ80,
    sameBits: packCases(memory, 'q8_0'),
    mutants: { ...packMutants(kernels.kvPackQ80), 'codes of the other format': kernels.kvPackQ40 },
  });
});
