import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q4_k', (bench) => {
  const repackQ4K = bench.kernels.format('q4_k').repack;
  testKernel({
    name: 'repackQ4K',
    kernel: repackQ4K,
    sameBits: repackCases(bench, 'q4_k'),
    mutants: repackMutants(repackQ4K),
  });
});
