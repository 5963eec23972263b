import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_f16', (bench) => {
  const kernel = bench.kernels.format('f16').repack;
  testKernel({
    name: 'repackF16',
    kernel,
    sameBits: repackCases(bench, 'f16'),
    mutants: repackMutants(kernel),
  });
});
