import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_q8_0', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedQ80',
    kernel: kernels.format('q8_0').embed,
    sameBits: embedCases(bench, 'q8_0'),
    mutants: {
      'codes read as nibbles': kernels.format('q4_0').embed,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.format('q8_0').embed(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
