import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_f16', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedF16',
    kernel: kernels.embedF16,
    sameBits: embedCases(bench, 'f16'),
    mutants: {
      'bits read as bf16': kernels.embedBf16,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.embedF16(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
