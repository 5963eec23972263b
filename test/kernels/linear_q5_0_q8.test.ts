import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q5_0_q8', (bench) => {
  const linearQ50Q8 = quantized(bench, 'q5_0');
  testLinearQ8(bench, 'q5_0', 'linearQ50Q8', linearQ50Q8, linearQ8Mutants(bench, 'q5_0', linearQ50Q8));
});
