import { linearF32Mutants, testLinearF32 } from '../support/coded_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_iq4_xs_f32', (bench) => {
  const linearIq4XsF32 = bench.kernels.format('iq4_xs').f32;
  testLinearF32(bench, 'iq4_xs', 'linearIq4XsF32', linearIq4XsF32, linearF32Mutants(bench, 'iq4_xs', linearIq4XsF32));
});
