import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q5_1', (bench) => {
  const repackQ51 = bench.kernels.format('q5_1').repack;
  testKernel({
    name: 'repackQ51',
    kernel: repackQ51,
    sameBits: repackCases(bench, 'q5_1'),
    mutants: repackMutants(repackQ51),
  });
});
