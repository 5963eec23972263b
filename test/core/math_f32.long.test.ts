import { expect, test } from 'vitest';
import { bothSigns, F32_FUNCTIONS, worstUlp } from '../support/f32_functions.ts';

/** Every third f32 where the functions bend: 160 million numbers. (3 is odd, so all low bits are met.) */
const STEP = 3;

test.each(F32_FUNCTIONS)('$name: at most $ulp ulp over every third f32 where it bends', (c) => {
  const { ulp, at } = worstUlp(c, bothSigns(c.bend, STEP));
  console.log(`${c.name}: largest error ${ulp.toFixed(3)} ulp, at ${at}`);
  expect(ulp <= c.ulp, `${c.name}(${at}) is ${ulp} ulp off`).toBe(true);
});
