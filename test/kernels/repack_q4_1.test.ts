import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_q4_1', (bench) => {
  const repackQ41 = bench.kernels.format('q4_1').repack;
  testKernel({
    name: 'repackQ41',
    kernel: repackQ41,
    sameBits: repackCases(bench, 'q4_1'),
    mutants: repackMutants(repackQ41),
  });
});
