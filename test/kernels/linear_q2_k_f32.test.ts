import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q2_k_f32', (bench) => {
  const linearQ2KF32 = bench.kernels.format('q2_k').f32;
  testLinearF32(bench, 'q2_k', 'linearQ2KF32', linearQ2KF32, linearF32Mutants(bench, 'q2_k', linearQ2KF32));
});
