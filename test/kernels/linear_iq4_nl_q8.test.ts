import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_iq4_nl_q8', (bench) => {
  const linearIq4NlQ8 = quantized(bench, 'iq4_nl');
  testLinearQ8(bench, 'iq4_nl', 'linearIq4NlQ8', linearIq4NlQ8, linearQ8Mutants(bench, 'iq4_nl', linearIq4NlQ8));
});
