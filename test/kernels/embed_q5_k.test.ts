import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q5_k', (bench) => {
  const embedQ5K = bench.kernels.format('q5_k').embed;
  testKernel({
    name: 'embedQ5K',
    kernel: embedQ5K,
    sameBits: embedCases(bench, 'q5_k'),
    mutants: embedMutants(embedQ5K),
  });
});
