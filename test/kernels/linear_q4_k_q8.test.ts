import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q4_k_q8', (bench) => {
  const linearQ4KQ8 = quantized(bench, 'q4_k');
  testLinearQ8(bench, 'q4_k', 'linearQ4KQ8', linearQ4KQ8, linearQ8Mutants(bench, 'q4_k', linearQ4KQ8));
});
