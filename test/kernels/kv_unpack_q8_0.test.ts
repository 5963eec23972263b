import { unpackCases, unpackMutants } from '../support/coded_row_cases.ts';
import { testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('kv_unpack_q8_0', ({ kernels, memory }) => {
  testKernel({
    name: 'kvUnpackQ80',
    kernel: kernels.kvUnpackQ80,
    sameBits: unpackCases(memory, 'q8_0'),
    mutants: { ...unpackMutants(kernels.kvUnpackQ80), 'codes of the other format': kernels.kvUnpackQ40 },
  });
});
