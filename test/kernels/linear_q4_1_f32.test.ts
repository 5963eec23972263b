import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q4_1_f32', (bench) => {
  const linearQ41F32 = bench.kernels.format('q4_1').f32;
  testLinearF32(bench, 'q4_1', 'linearQ41F32', linearQ41F32, linearF32Mutants(bench, 'q4_1', linearQ41F32));
});
