import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q4_1', (bench) => {
  const embedQ41 = bench.kernels.format('q4_1').embed;
  testKernel({
    name: 'embedQ41',
    kernel: embedQ41,
    sameBits: embedCases(bench, 'q4_1'),
    mutants: embedMutants(embedQ41),
  });
});
