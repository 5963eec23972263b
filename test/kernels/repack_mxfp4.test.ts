import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_mxfp4', (bench) => {
  const repackMxfp4 = bench.kernels.format('mxfp4').repack;
  testKernel({
    name: 'repackMxfp4',
    kernel: repackMxfp4,
    sameBits: repackCases(bench, 'mxfp4'),
    mutants: repackMutants(repackMxfp4),
  });
});
