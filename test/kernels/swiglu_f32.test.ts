import { swiglu } from '../../src/ops/swiglu.ts';
import { testGatedKernel } from '../support/gated_kernel.ts';

testGatedKernel({
  title: 'swiglu_f32',
  name: 'swigluF32',
  twin: swiglu,
  mutants: ({ gegluF32 }) => ({ 'the other activation': gegluF32 }),
});
