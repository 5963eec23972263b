import fc from 'fast-check';
import { test } from 'vitest';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import { testKernel } from '../support/kernel_property.ts';
import { checkLinear, largeCase, linearCases, linearMutants, throughQ8 } from '../support/linear_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q8_0_f32', (bench) => {
  const { kernels } = bench;

  testKernel<Linear>({
    name: 'linearQ80F32',
    kernel: kernels.format('q8_0').f32,
    sameBits: (kernel) => fc.property(linearCases('q8_0'), (c) => checkLinear(bench, 'q8_0', 'f32', kernel, c)),
    mutants: {
      ...linearMutants(kernels.format('q8_0').f32),
      'activations are rounded to int8': throughQ8(bench, kernels.format('q8_0').q8!),
    },
  });

  test.each([1, 2, 131])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, 'q8_0', 'f32', kernels.format('q8_0').f32, largeCase('q8_0', nTokens));
  });
});
