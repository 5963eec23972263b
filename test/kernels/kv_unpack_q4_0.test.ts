import { unpackCases, unpackMutants } from '../support/coded_row_cases.ts';
import { testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('kv_unpack_q4_0', ({ kernels, memory }) => {
  testKernel({
    name: 'kvUnpackQ40',
    kernel: kernels.kvUnpackQ40,
    sameBits: unpackCases(memory, 'q4_0'),
    mutants: { ...unpackMutants(kernels.kvUnpackQ40), 'codes of the other format': kernels.kvUnpackQ80 },
  });
});
