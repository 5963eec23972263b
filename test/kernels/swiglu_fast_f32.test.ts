import { swigluFast } from '../../src/ops/swiglu_fast.ts';
import { testGatedKernel } from '../support/gated_kernel.ts';

testGatedKernel({
  title: 'swiglu_fast_f32',
  name: 'swigluFastF32',
  twin: swigluFast,
  mutants: ({ swigluF32 }) => ({ 'the longer exponential': swigluF32 }),
});
