import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q5_k_f32', (bench) => {
  const linearQ5KF32 = bench.kernels.format('q5_k').f32;
  testLinearF32(bench, 'q5_k', 'linearQ5KF32', linearQ5KF32, linearF32Mutants(bench, 'q5_k', linearQ5KF32));
});
