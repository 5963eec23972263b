import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_bf16', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedBf16',
    kernel: kernels.format('bf16').embed,
    sameBits: embedCases(bench, 'bf16'),
    mutants: {
      'bits read as f16': kernels.format('f16').embed,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.format('bf16').embed(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
