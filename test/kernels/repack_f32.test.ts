import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_f32', (bench) => {
  const kernel = bench.kernels.format('f32').repack;
  testKernel({
    name: 'repackF32',
    kernel,
    sameBits: repackCases(bench, 'f32'),
    mutants: repackMutants(kernel),
  });
});
