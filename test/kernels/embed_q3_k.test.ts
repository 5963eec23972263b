import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q3_k', (bench) => {
  const embedQ3K = bench.kernels.format('q3_k').embed;
  testKernel({
    name: 'embedQ3K',
    kernel: embedQ3K,
    sameBits: embedCases(bench, 'q3_k'),
    mutants: embedMutants(embedQ3K),
  });
});
