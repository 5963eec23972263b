import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q3_k_f32', (bench) => {
  const linearQ3KF32 = bench.kernels.format('q3_k').f32;
  testLinearF32(bench, 'q3_k', 'linearQ3KF32', linearQ3KF32, linearF32Mutants(bench, 'q3_k', linearQ3KF32));
});
