import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q4_1_q8', (bench) => {
  const linearQ41Q8 = quantized(bench, 'q4_1');
  testLinearQ8(bench, 'q4_1', 'linearQ41Q8', linearQ41Q8, linearQ8Mutants(bench, 'q4_1', linearQ41Q8));
});
