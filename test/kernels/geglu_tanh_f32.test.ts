import { gegluTanh } from '../../src/ops/geglu_tanh.ts';
import { testGatedKernel } from '../support/gated_kernel.ts';

testGatedKernel({
  title: 'geglu_tanh_f32',
  name: 'gegluTanhF32',
  twin: gegluTanh,
  mutants: ({ gegluF32 }) => ({ 'the other gelu': gegluF32 }),
});
