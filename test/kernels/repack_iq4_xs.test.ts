import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_iq4_xs', (bench) => {
  const repackIq4Xs = bench.kernels.format('iq4_xs').repack;
  testKernel({
    name: 'repackIq4Xs',
    kernel: repackIq4Xs,
    sameBits: repackCases(bench, 'iq4_xs'),
    mutants: repackMutants(repackIq4Xs),
  });
});
