import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q5_1', (bench) => {
  const embedQ51 = bench.kernels.format('q5_1').embed;
  testKernel({
    name: 'embedQ51',
    kernel: embedQ51,
    sameBits: embedCases(bench, 'q5_1'),
    mutants: embedMutants(embedQ51),
  });
});
