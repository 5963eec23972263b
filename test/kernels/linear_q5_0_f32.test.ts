import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q5_0_f32', (bench) => {
  const linearQ50F32 = bench.kernels.format('q5_0').f32;
  testLinearF32(bench, 'q5_0', 'linearQ50F32', linearQ50F32, linearF32Mutants(bench, 'q5_0', linearQ50F32));
});
