import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q6_k_q8', (bench) => {
  const linearQ6KQ8 = quantized(bench, 'q6_k');
  testLinearQ8(bench, 'q6_k', 'linearQ6KQ8', linearQ6KQ8, linearQ8Mutants(bench, 'q6_k', linearQ6KQ8));
});
