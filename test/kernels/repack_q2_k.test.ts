import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q2_k', (bench) => {
  const repackQ2K = bench.kernels.format('q2_k').repack;
  testKernel({
    name: 'repackQ2K',
    kernel: repackQ2K,
    sameBits: repackCases(bench, 'q2_k'),
    mutants: repackMutants(repackQ2K),
  });
});
