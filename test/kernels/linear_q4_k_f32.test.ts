import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q4_k_f32', (bench) => {
  const linearQ4KF32 = bench.kernels.format('q4_k').f32;
  testLinearF32(bench, 'q4_k', 'linearQ4KF32', linearQ4KF32, linearF32Mutants(bench, 'q4_k', linearQ4KF32));
});
