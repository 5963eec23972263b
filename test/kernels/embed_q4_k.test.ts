import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q4_k', (bench) => {
  const embedQ4K = bench.kernels.format('q4_k').embed;
  testKernel({
    name: 'embedQ4K',
    kernel: embedQ4K,
    sameBits: embedCases(bench, 'q4_k'),
    mutants: embedMutants(embedQ4K),
  });
});
