import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q6_k_f32', (bench) => {
  const linearQ6KF32 = bench.kernels.format('q6_k').f32;
  testLinearF32(bench, 'q6_k', 'linearQ6KF32', linearQ6KF32, linearF32Mutants(bench, 'q6_k', linearQ6KF32));
});
