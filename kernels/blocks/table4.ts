// Codes of 4 bits that stand for the values of a table: packed as codes4.ts has it, looked up 16 at a time.
import { dotStep, nibblesOfBytes } from '../lanes';
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3, QUAD } from './dots';

/** table[i] for 16 indices i in 0..15. */
function lookUp(table: usize, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(v128.load(table), indices);
  return i8x16.swizzle(v128.load(table), indices);
}

function low(table: usize, c: v128, mask: v128): v128 {
  return lookUp(table, v128.and(c, mask));
}

function high(table: usize, c: v128, mask: v128): v128 {
  return lookUp(table, v128.and(i16x8.shr_u(c, 4), mask));
}

/** sums + 16 columns of values 0..127, as dot16Of4Bits. */
export function dot16OfTable(
  sums: v128,
  table: usize,
  at: usize,
  a: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  mask: v128,
): v128 {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 32);
  const first = dotQuad1(dotQuad0(sums, a, x0, low(table, c0, mask)), a, x1, low(table, c1, mask));
  return dotQuad3(dotQuad2(first, a, x2, high(table, c0, mask)), a, x3, high(table, c1, mask));
}

/** The same of values -128..127; in the plain build alone, which has them as i16. */
export function dot16OfSigned(sums: v128, table: usize, at: usize, a: usize, mask: v128): v128 {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 32);
  const first = dotSigned(dotSigned(sums, a, low(table, c0, mask)), a + QUAD, low(table, c1, mask));
  return dotSigned(dotSigned(first, a + 2 * QUAD, high(table, c0, mask)), a + 3 * QUAD, high(table, c1, mask));
}

function dotSigned(sums: v128, a: usize, values: v128): v128 {
  const even = dotStep(sums, v128.load32_splat(a), i16x8.shr_s(i16x8.shl(values, 8), 8));
  return dotStep(even, v128.load32_splat(a, 4), i16x8.shr_s(values, 8));
}

/** The eight vectors of values of a chunk, `step` bytes apart. */
export function unpackTable(to: usize, step: usize, table: usize, at: usize): void {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 32);
  const c2 = v128.load(at, 64);
  const c3 = v128.load(at, 96);
  const mask = nibblesOfBytes();
  v128.store(to, low(table, c0, mask));
  v128.store(to + step, low(table, c1, mask));
  v128.store(to + 2 * step, high(table, c0, mask));
  v128.store(to + 3 * step, high(table, c1, mask));
  v128.store(to + 4 * step, low(table, c2, mask));
  v128.store(to + 5 * step, low(table, c3, mask));
  v128.store(to + 6 * step, high(table, c2, mask));
  v128.store(to + 7 * step, high(table, c3, mask));
}
