import { linearQ8Mutants, quantized, testLinearQ8 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_mxfp4_q8', (bench) => {
  const linearMxfp4Q8 = quantized(bench, 'mxfp4');
  testLinearQ8(bench, 'mxfp4', 'linearMxfp4Q8', linearMxfp4Q8, linearQ8Mutants(bench, 'mxfp4', linearMxfp4Q8));
});
