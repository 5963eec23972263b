import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q2_k_q8', (bench) => {
  const linearQ2KQ8 = quantized(bench, 'q2_k');
  testLinearQ8(bench, 'q2_k', 'linearQ2KQ8', linearQ2KQ8, linearQ8Mutants(bench, 'q2_k', linearQ2KQ8));
});
