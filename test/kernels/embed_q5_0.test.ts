import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q5_0', (bench) => {
  const embedQ50 = bench.kernels.format('q5_0').embed;
  testKernel({
    name: 'embedQ50',
    kernel: embedQ50,
    sameBits: embedCases(bench, 'q5_0'),
    mutants: embedMutants(embedQ50),
  });
});
