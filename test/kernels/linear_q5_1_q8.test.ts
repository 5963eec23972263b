import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q5_1_q8', (bench) => {
  const linearQ51Q8 = quantized(bench, 'q5_1');
  testLinearQ8(bench, 'q5_1', 'linearQ51Q8', linearQ51Q8, linearQ8Mutants(bench, 'q5_1', linearQ51Q8));
});
