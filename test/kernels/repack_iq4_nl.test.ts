import { testKernel } from '../support/kernel_property.ts';
import { repackCases, repackMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('repack_iq4_nl', (bench) => {
  const repackIq4Nl = bench.kernels.format('iq4_nl').repack;
  testKernel({
    name: 'repackIq4Nl',
    kernel: repackIq4Nl,
    sameBits: repackCases(bench, 'iq4_nl'),
    mutants: repackMutants(repackIq4Nl),
  });
});
