import fc from 'fast-check';
import { test } from 'vitest';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import { testKernel } from '../support/kernel_property.ts';
import { checkLinear, largeCase, linearCases, linearMutants } from '../support/linear_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const { fround } = Math;

describeBuilds('linear_f32', (bench) => {
  const { kernels, memory } = bench;

  testKernel<Linear>({
    name: 'linearF32',
    kernel: kernels.format('f32').f32,
    sameBits: (kernel) => fc.property(linearCases('f32'), (c) => checkLinear(bench, 'f32', 'f32', kernel, c)),
    mutants: {
      ...linearMutants(kernels.format('f32').f32),
      'four partial sums instead of one': (y, ys, x, xs, nTokens, nIn, w, nOut, firstPanel, nPanels) => {
        const m = memory.view();
        for (let t = 0; t < nTokens; t++) {
          for (let o = 8 * firstPanel; o < Math.min(nOut, 8 * (firstPanel + nPanels)); o++) {
            const lanes = new Float32Array(4);
            for (let k = 0; k < nIn; k++) {
              const product = fround(m[x / 4 + t * xs + k]! * m[w / 4 + (o >> 3) * 8 * nIn + 8 * k + (o & 7)]!);
              lanes[k & 3] = lanes[k & 3]! + product;
            }
            m[y / 4 + t * ys + o] = fround(lanes[0]! + lanes[2]!) + fround(lanes[1]! + lanes[3]!);
          }
        }
      },
      'products are not rounded (a fused multiply-add)': (y, ys, x, xs, nTokens, nIn, w, nOut, firstPanel, nPanels) => {
        const m = memory.view();
        for (let t = 0; t < nTokens; t++) {
          for (let o = 8 * firstPanel; o < Math.min(nOut, 8 * (firstPanel + nPanels)); o++) {
            let sum = 0;
            for (let k = 0; k < nIn; k++) {
              sum = fround(sum + m[x / 4 + t * xs + k]! * m[w / 4 + (o >> 3) * 8 * nIn + 8 * k + (o & 7)]!);
            }
            m[y / 4 + t * ys + o] = sum;
          }
        }
      },
    },
  });

  test.each([1, 2, 131])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, 'f32', 'f32', kernels.format('f32').f32, largeCase('f32', nTokens));
  });
});
