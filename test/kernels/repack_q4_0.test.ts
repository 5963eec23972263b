import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q4_0', (bench) => {
  const kernel = bench.kernels.format('q4_0').repack;
  testKernel({
    name: 'repackQ40',
    kernel,
    sameBits: repackCases(bench, 'q4_0'),
    mutants: repackMutants(kernel),
  });
});
