import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q5_k_q8', (bench) => {
  const linearQ5KQ8 = quantized(bench, 'q5_k');
  testLinearQ8(bench, 'q5_k', 'linearQ5KQ8', linearQ5KQ8, linearQ8Mutants(bench, 'q5_k', linearQ5KQ8));
});
