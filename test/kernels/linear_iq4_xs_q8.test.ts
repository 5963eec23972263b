import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_iq4_xs_q8', (bench) => {
  const linearIq4XsQ8 = quantized(bench, 'iq4_xs');
  testLinearQ8(bench, 'iq4_xs', 'linearIq4XsQ8', linearIq4XsQ8, linearQ8Mutants(bench, 'iq4_xs', linearIq4XsQ8));
});
