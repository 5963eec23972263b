import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_f16', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedF16',
    kernel: kernels.format('f16').embed,
    sameBits: embedCases(bench, 'f16'),
    mutants: {
      'bits read as bf16': kernels.format('bf16').embed,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.format('f16').embed(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
