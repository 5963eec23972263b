import fc from 'fast-check';
import { test } from 'vitest';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import { testKernel } from '../support/kernel_property.ts';
import { checkLinear, largeCase, linearCases, linearMutants } from '../support/linear_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_f16', (bench) => {
  const { kernels } = bench;

  testKernel<Linear>({
    name: 'linearF16',
    kernel: kernels.format('f16').f32,
    sameBits: (kernel) => fc.property(linearCases('f16'), (c) => checkLinear(bench, 'f16', 'f32', kernel, c)),
    mutants: {
      ...linearMutants(kernels.format('f16').f32),
      'the other 16-bit format': kernels.format('bf16').f32,
    },
  });

  test.each([1, 2, 131])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, 'f16', 'f32', kernels.format('f16').f32, largeCase('f16', nTokens));
  });
  test.each(['nonfinite', 'edges'] as const)('one token, many rows: weights and activations of kind %s', (kind) => {
    const c = largeCase('f16', 1);
    const hard = { seed: 6, kind };
    checkLinear(bench, 'f16', 'f32', kernels.format('f16').f32, { ...c, nOut: 67, w: { values: hard } });
    checkLinear(bench, 'f16', 'f32', kernels.format('f16').f32, { ...c, nOut: 67, x: hard });
  });
});
