import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_mxfp4', (bench) => {
  const embedMxfp4 = bench.kernels.format('mxfp4').embed;
  testKernel({
    name: 'embedMxfp4',
    kernel: embedMxfp4,
    sameBits: embedCases(bench, 'mxfp4'),
    mutants: embedMutants(embedMxfp4),
  });
});
