import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q3_k', (bench) => {
  const repackQ3K = bench.kernels.format('q3_k').repack;
  testKernel({
    name: 'repackQ3K',
    kernel: repackQ3K,
    sameBits: repackCases(bench, 'q3_k'),
    mutants: repackMutants(repackQ3K),
  });
});
