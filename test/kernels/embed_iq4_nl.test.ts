import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_iq4_nl', (bench) => {
  const embedIq4Nl = bench.kernels.format('iq4_nl').embed;
  testKernel({
    name: 'embedIq4Nl',
    kernel: embedIq4Nl,
    sameBits: embedCases(bench, 'iq4_nl'),
    mutants: embedMutants(embedIq4Nl),
  });
});
