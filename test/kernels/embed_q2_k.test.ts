import { testKernel } from '../support/kernel_property.ts';
import { embedCases, embedMutants } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q2_k', (bench) => {
  const embedQ2K = bench.kernels.format('q2_k').embed;
  testKernel({
    name: 'embedQ2K',
    kernel: embedQ2K,
    sameBits: embedCases(bench, 'q2_k'),
    mutants: embedMutants(embedQ2K),
  });
});
