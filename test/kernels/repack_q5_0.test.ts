import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q5_0', (bench) => {
  const repackQ50 = bench.kernels.format('q5_0').repack;
  testKernel({
    name: 'repackQ50',
    kernel: repackQ50,
    sameBits: repackCases(bench, 'q5_0'),
    mutants: repackMutants(repackQ50),
  });
});
