import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q8_0', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedQ80',
    kernel: kernels.embedQ80,
    sameBits: embedCases(bench, 'q8_0'),
    mutants: {
      'codes read as nibbles': kernels.embedQ40,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.embedQ80(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
