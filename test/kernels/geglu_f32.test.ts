import { geglu } from '../../src/ops/geglu.ts';
import { testGatedKernel } from '../support/gated_kernel.ts';

testGatedKernel({
  title: 'geglu_f32',
  name: 'gegluF32',
  twin: geglu,
  mutants: ({ swigluF32 }) => ({ 'the other activation': swigluF32 }),
});
