import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q8_0', (bench) => {
  const kernel = bench.kernels.format('q8_0').repack;
  testKernel({
    name: 'repackQ80',
    kernel,
    sameBits: repackCases(bench, 'q8_0'),
    mutants: repackMutants(kernel),
  });
});
