import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q5_k', (bench) => {
  const repackQ5K = bench.kernels.format('q5_k').repack;
  testKernel({
    name: 'repackQ5K',
    kernel: repackQ5K,
    sameBits: repackCases(bench, 'q5_k'),
    mutants: repackMutants(repackQ5K),
  });
});
