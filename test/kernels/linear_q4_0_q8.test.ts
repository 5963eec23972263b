import fc from 'fast-check';
import { test } from 'vitest';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import { testKernel } from '../support/kernel_property.ts';
import { checkLinear, largeCase, linearCases, linearMutants, throughQ8 } from '../support/linear_cases.ts';
import { clearSums, extremeCase } from '../support/q8_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('linear_q4_0_q8', (bench) => {
  const { kernels } = bench;
  const kernel = throughQ8(bench, kernels.format('q4_0').q8!);

  testKernel<Linear>({
    name: 'linearQ40Q8',
    kernel,
    sameBits: (wanted) => fc.property(linearCases('q4_0'), (c) => checkLinear(bench, 'q4_0', 'q8', wanted, c)),
    mutants: {
      ...linearMutants(kernel),
      'activations stay f32': kernels.format('q4_0').f32,
      'sums of codes are not taken out': throughQ8(bench, kernels.format('q4_0').q8!, (q, x, xStride, nTokens, nIn) => {
        kernels.quantizeRowsQ8(q, x, xStride, nTokens, nIn);
        clearSums(bench, q, nTokens, nIn);
      }),
    },
  });

  // Two streams of two panels, then of four, with one more panel and rows that fill none.
  test.each(
    [67, 150].flatMap((nOut) => (['wide', 'nonfinite', 'edges'] as const).map((kind) => [nOut, kind] as const)),
  )('one token, %i rows: weights and activations of kind %s', (nOut, kind) => {
    const c = { ...largeCase('q4_0', 1), nOut };
    const hard = { seed: 6, kind };
    checkLinear(bench, 'q4_0', 'q8', kernel, { ...c, w: { values: hard } });
    checkLinear(bench, 'q4_0', 'q8', kernel, { ...c, x: hard });
  });

  test.each([1, 4, 7, 67])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, 'q4_0', 'q8', kernel, largeCase('q4_0', nTokens));
  });

  test.each([1, 8, 12])('the largest inner sums are exact, %i tokens', (nTokens) => {
    for (const signs of [1, -1] as const) extremeCase(bench, 'q4_0', kernel, nTokens, signs);
  });
});
