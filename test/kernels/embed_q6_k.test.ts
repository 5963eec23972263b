import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q6_k', (bench) => {
  const embedQ6K = bench.kernels.format('q6_k').embed;
  testKernel({
    name: 'embedQ6K',
    kernel: embedQ6K,
    sameBits: embedCases(bench, 'q6_k'),
    mutants: embedMutants(embedQ6K),
  });
});
