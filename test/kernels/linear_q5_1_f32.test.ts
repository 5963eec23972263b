import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q5_1_f32', (bench) => {
  const linearQ51F32 = bench.kernels.format('q5_1').f32;
  testLinearF32(bench, 'q5_1', 'linearQ51F32', linearQ51F32, linearF32Mutants(bench, 'q5_1', linearQ51F32));
});
