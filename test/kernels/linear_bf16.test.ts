import fc from 'fast-check';
import { test } from 'vitest';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import { testKernel } from '../support/kernel_property.ts';
import { checkLinear, largeCase, linearCases, linearMutants } from '../support/linear_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_bf16', (bench) => {
  const { kernels } = bench;

  testKernel<Linear>({
    name: 'linearBf16',
    kernel: kernels.format('bf16').f32,
    sameBits: (kernel) => fc.property(linearCases('bf16'), (c) => checkLinear(bench, 'bf16', 'f32', kernel, c)),
    mutants: {
      ...linearMutants(kernels.format('bf16').f32),
      'the other 16-bit format': kernels.format('f16').f32,
    },
  });

  test.each([1, 2, 131])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, 'bf16', 'f32', kernels.format('bf16').f32, largeCase('bf16', nTokens));
  });
});
