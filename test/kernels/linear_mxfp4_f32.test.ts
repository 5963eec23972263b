import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_mxfp4_f32', (bench) => {
  const linearMxfp4F32 = bench.kernels.format('mxfp4').f32;
  testLinearF32(bench, 'mxfp4', 'linearMxfp4F32', linearMxfp4F32, linearF32Mutants(bench, 'mxfp4', linearMxfp4F32));
});
