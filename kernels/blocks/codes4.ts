// Codes of 4 bits: 4 rows x 32 columns in four byte vectors, which are 32 bytes apart as in codes2.ts. Byte vector i holds the columns 4 q .. 4 q + 3 of two quads q:
//   0: quads 0 (low nibble) and 2 (high nibble)    1: 1 and 3    2: 4 and 6    3: 5 and 7
import { nibblesOfBytes } from '../lanes';
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_4_BITS: usize = 128;

function low(c: v128, mask: v128): v128 {
  return v128.and(c, mask);
}

function high(c: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_u(c, 4), mask);
}

/** sums + 16 columns; `at` is the start of the chunk for the first 16, 64 bytes on for the last; mask: nibblesOfBytes. */
export function dot16Of4Bits(
  sums: v128,
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
  const first = dotQuad1(dotQuad0(sums, a, x0, low(c0, mask)), a, x1, low(c1, mask));
  return dotQuad3(dotQuad2(first, a, x2, high(c0, mask)), a, x3, high(c1, mask));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack4Bits(to: usize, step: usize, at: usize): void {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 32);
  const c2 = v128.load(at, 64);
  const c3 = v128.load(at, 96);
  const mask = nibblesOfBytes();
  v128.store(to, low(c0, mask));
  v128.store(to + step, low(c1, mask));
  v128.store(to + 2 * step, high(c0, mask));
  v128.store(to + 3 * step, high(c1, mask));
  v128.store(to + 4 * step, low(c2, mask));
  v128.store(to + 5 * step, low(c3, mask));
  v128.store(to + 6 * step, high(c2, mask));
  v128.store(to + 7 * step, high(c3, mask));
}

/** The other way, for one row: codes of eight quads in u32, into `to` (the row's 4 bytes of the first byte vector). */
export function pack4Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32, q4: u32, q5: u32, q6: u32, q7: u32): void {
  store<u32>(to, q0 | (q2 << 4));
  store<u32>(to, q1 | (q3 << 4), 32);
  store<u32>(to, q4 | (q6 << 4), 64);
  store<u32>(to, q5 | (q7 << 4), 96);
}
