import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q3_k_q8', (bench) => {
  const linearQ3KQ8 = quantized(bench, 'q3_k');
  testLinearQ8(bench, 'q3_k', 'linearQ3KQ8', linearQ3KQ8, linearQ8Mutants(bench, 'q3_k', linearQ3KQ8));
});
