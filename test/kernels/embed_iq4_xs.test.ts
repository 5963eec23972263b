import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_iq4_xs', (bench) => {
  const embedIq4Xs = bench.kernels.format('iq4_xs').embed;
  testKernel({
    name: 'embedIq4Xs',
    kernel: embedIq4Xs,
    sameBits: embedCases(bench, 'iq4_xs'),
    mutants: embedMutants(embedIq4Xs),
  });
});
