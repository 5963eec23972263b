import { expect, test } from 'vitest';
import { exp } from '../../src/core/math.ts';
import { EXP_FAST_FIT, expFast32 } from '../../src/core/math_f32.ts';
import { gamma } from '../../src/core/sum.ts';
import { tensor } from '../../src/core/tensor.ts';
import { siluFastBounds } from '../../src/exec/row_bounds.ts';
import { siluFast } from '../../src/ops/silu_fast.ts';
import { f32Sweep } from '../support/floats.ts';

const SWEEP = Float32Array.from(f32Sweep(10_007)); // about 430,000 numbers

test('expFast32 is off by its fit and two roundings, and by no less than nearly the whole of the fit', () => {
  let worst = 0;
  for (const x of SWEEP) {
    const y = exp(x);
    if (y >= 2 ** -126 && y < 2 ** 127) worst = Math.max(worst, Math.abs(expFast32(x) / y - 1));
  }
  expect(worst).toBeLessThanOrEqual(EXP_FAST_FIT + gamma(2));
  expect(worst).toBeGreaterThan(0.99 * EXP_FAST_FIT);
});

test('silu_fast is within its bound over a sweep of all f32', () => {
  const x = tensor([SWEEP.length], SWEEP);
  const y = siluFast(x).data;
  const { exact, bound } = siluFastBounds(x);
  const outside = SWEEP.findIndex((v, i) => Number.isFinite(v) && !(Math.abs(y[i]! - exact[i]!) <= bound[i]!));
  expect(outside === -1 ? 'none' : `x = ${SWEEP[outside]}`).toBe('none');
});

test.each([
  [Number.NaN, Number.NaN],
  [Infinity, Infinity],
  [0, 0],
  [-0, -0],
  [-1e30, -0],
])('silu_fast(%d) is %d, as silu', (x, y) => expect(siluFast(tensor([1], Float32Array.of(x))).data[0]).toBe(y));
