import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q4_0', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedQ40',
    kernel: kernels.embedQ40,
    sameBits: embedCases(bench, 'q4_0'),
    mutants: {
      'codes read as bytes': kernels.embedQ80,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.embedQ40(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
