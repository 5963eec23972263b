// Codes of 4 bits: 4 rows x 32 columns in 64 bytes. Byte vector i holds the columns 4 q .. 4 q + 3 of two quads q:
//   0: quads 0 (low nibble) and 2 (high nibble)    1: 1 and 3    2: 4 and 6    3: 5 and 7
import { nibblesOfBytes } from '../lanes';
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_4_BITS: usize = 64;

function low(c: v128): v128 {
  return v128.and(c, nibblesOfBytes());
}

function high(c: v128): v128 {
  return v128.and(i16x8.shr_u(c, 4), nibblesOfBytes());
}

/** sums + 16 columns; `at` is the start of the chunk for the first 16, 32 bytes on for the last. */
export function dot16Of4Bits(sums: v128, at: usize, a: usize): v128 {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 16);
  const first = dotQuad1(dotQuad0(sums, a, low(c0)), a, low(c1));
  return dotQuad3(dotQuad2(first, a, high(c0)), a, high(c1));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack4Bits(to: usize, step: usize, at: usize): void {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 16);
  const c2 = v128.load(at, 32);
  const c3 = v128.load(at, 48);
  v128.store(to, low(c0));
  v128.store(to + step, low(c1));
  v128.store(to + 2 * step, high(c0));
  v128.store(to + 3 * step, high(c1));
  v128.store(to + 4 * step, low(c2));
  v128.store(to + 5 * step, low(c3));
  v128.store(to + 6 * step, high(c2));
  v128.store(to + 7 * step, high(c3));
}

/** The other way, for one row: codes of eight quads in u32, into `to` (the row's 4 bytes of the first byte vector). */
export function pack4Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32, q4: u32, q5: u32, q6: u32, q7: u32): void {
  store<u32>(to, q0 | (q2 << 4));
  store<u32>(to, q1 | (q3 << 4), 16);
  store<u32>(to, q4 | (q6 << 4), 32);
  store<u32>(to, q5 | (q7 << 4), 48);
}
