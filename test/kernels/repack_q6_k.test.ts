import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q6_k', (bench) => {
  const repackQ6K = bench.kernels.format('q6_k').repack;
  testKernel({
    name: 'repackQ6K',
    kernel: repackQ6K,
    sameBits: repackCases(bench, 'q6_k'),
    mutants: repackMutants(repackQ6K),
  });
});
