import { testKernel } from '../support/kernel_property.ts';
import { embedCases } from '../support/packed_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('embed_f32', (bench) => {
  const { kernels } = bench;
  testKernel({
    name: 'embedF32',
    kernel: kernels.format('f32').embed,
    sameBits: embedCases(bench, 'f32'),
    mutants: {
      'bits read as bf16': kernels.format('bf16').embed,
      'the last token is forgotten': (y, ids, nTokens, w, nIn) =>
        kernels.format('f32').embed(y, ids, Math.max(0, nTokens - 1), w, nIn),
    },
  });
});
