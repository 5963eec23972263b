// Codes of 3 bits: 4 rows x 32 columns in three byte vectors. Vector 0 has quads 0, 1 and two bits of quad 2, vector 1 the same of
// quads 4, 5 and 6, the first in the lowest bits; vector 2 has quads 3 and 7, then the third bits of 2 and of 6. As in codes2.ts, the vectors
// of four rows are 32 bytes apart.
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_3_BITS: usize = 96;

/** From memory: see CONSTANTS in lanes.ts. */
const MASKS = memory.data<u32>([0x07070707, 0x03030303, 0x04040404]);

/** The low three bits of each byte. */
export function threeBitsOfBytes(): v128 {
  return v128.load32_splat(MASKS);
}

/** Quad 2 or 6: `third` has its third bit where it belongs. */
function ofTwo(c: v128, third: v128): v128 {
  const low = v128.and(i16x8.shr_u(c, 6), v128.load32_splat(MASKS, 4));
  return v128.or(low, v128.and(third, v128.load32_splat(MASKS, 8)));
}

/** sums + the first 16 columns of the chunk at `at`; mask: threeBitsOfBytes. */
export function dotFirstOf3Bits(
  sums: v128,
  at: usize,
  a: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  mask: v128,
): v128 {
  const c = v128.load(at);
  const last = v128.load(at, 64);
  const first = dotQuad1(dotQuad0(sums, a, x0, v128.and(c, mask)), a, x1, v128.and(i16x8.shr_u(c, 3), mask));
  return dotQuad3(dotQuad2(first, a, x2, ofTwo(c, i16x8.shr_u(last, 4))), a, x3, v128.and(last, mask));
}

/** sums + its last 16 columns. */
export function dotLastOf3Bits(
  sums: v128,
  at: usize,
  a: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  mask: v128,
): v128 {
  const c = v128.load(at, 32);
  const last = v128.load(at, 64);
  const first = dotQuad1(dotQuad0(sums, a, x0, v128.and(c, mask)), a, x1, v128.and(i16x8.shr_u(c, 3), mask));
  const third = ofTwo(c, i16x8.shr_u(last, 5));
  return dotQuad3(dotQuad2(first, a, x2, third), a, x3, v128.and(i16x8.shr_u(last, 3), mask));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack3Bits(to: usize, step: usize, at: usize): void {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 32);
  const c2 = v128.load(at, 64);
  const mask = threeBitsOfBytes();
  v128.store(to, v128.and(c0, mask));
  v128.store(to + step, v128.and(i16x8.shr_u(c0, 3), mask));
  v128.store(to + 2 * step, ofTwo(c0, i16x8.shr_u(c2, 4)));
  v128.store(to + 3 * step, v128.and(c2, mask));
  v128.store(to + 4 * step, v128.and(c1, mask));
  v128.store(to + 5 * step, v128.and(i16x8.shr_u(c1, 3), mask));
  v128.store(to + 6 * step, ofTwo(c1, i16x8.shr_u(c2, 5)));
  v128.store(to + 7 * step, v128.and(i16x8.shr_u(c2, 3), mask));
}

/** The other way, for one row: codes of eight quads in u32, into `to` (the row's 4 bytes of the first byte vector). */
export function pack3Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32, q4: u32, q5: u32, q6: u32, q7: u32): void {
  store<u32>(to, q0 | (q1 << 3) | ((q2 & 0x03030303) << 6));
  store<u32>(to, q4 | (q5 << 3) | ((q6 & 0x03030303) << 6), 32);
  store<u32>(to, q3 | (q7 << 3) | ((q2 & 0x04040404) << 4) | ((q6 & 0x04040404) << 5), 64);
}
