import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_bf16', (bench) => {
  const kernel = bench.kernels.format('bf16').repack;
  testKernel({
    name: 'repackBf16',
    kernel,
    sameBits: repackCases(bench, 'bf16'),
    mutants: repackMutants(kernel),
  });
});
