import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_iq4_nl_f32', (bench) => {
  const linearIq4NlF32 = bench.kernels.format('iq4_nl').f32;
  testLinearF32(bench, 'iq4_nl', 'linearIq4NlF32', linearIq4NlF32, linearF32Mutants(bench, 'iq4_nl', linearIq4NlF32));
});
