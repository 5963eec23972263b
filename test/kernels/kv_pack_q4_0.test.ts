import { packCases, packMutants } from '../support/coded_row_cases.ts';
import { testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('kv_pack_q4_0', ({ kernels, memory }) => {
  testKernel({
    name: 'kvPackQ40',
    kernel: kernels.kvPackQ40,
    sameBits: packCases(memory, 'q4_0'),
    mutants: { ...packMutants(kernels.kvPackQ40), 'codes of the other format': kernels.kvPackQ80 },
  });
});
