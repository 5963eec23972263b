// Codes of 2 bits: 4 rows x 32 columns in two byte vectors, 16 columns in each: four quads, the first in the lowest bits.
// In a chunk of 8 rows each is followed by the same one of the other four rows, so those of four rows are 32 bytes apart.
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_2_BITS: usize = 64;

/** From memory: see CONSTANTS in lanes.ts. */
const LOWEST = memory.data<u32>([0x03030303]);

/** The low two bits of each byte. */
export function twoBitsOfBytes(): v128 {
  return v128.load32_splat(LOWEST);
}

/** sums + 16 columns; `at` is the start of the chunk for the first 16, 32 bytes on for the last; mask: twoBitsOfBytes. */
export function dot16Of2Bits(
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
  const first = dotQuad1(dotQuad0(sums, a, x0, v128.and(c, mask)), a, x1, v128.and(i16x8.shr_u(c, 2), mask));
  return dotQuad3(dotQuad2(first, a, x2, v128.and(i16x8.shr_u(c, 4), mask)), a, x3, v128.and(i16x8.shr_u(c, 6), mask));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack2Bits(to: usize, step: usize, at: usize): void {
  const mask = twoBitsOfBytes();
  for (let i = 0; i < 2; i++, at += 32, to += 4 * step) {
    const c = v128.load(at);
    v128.store(to, v128.and(c, mask));
    v128.store(to + step, v128.and(i16x8.shr_u(c, 2), mask));
    v128.store(to + 2 * step, v128.and(i16x8.shr_u(c, 4), mask));
    v128.store(to + 3 * step, v128.and(i16x8.shr_u(c, 6), mask));
  }
}

/** The other way, for one row and 16 columns: codes of four quads in u32, into `to` (the row's 4 bytes of a byte vector). */
export function pack2Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32): void {
  store<u32>(to, q0 | (q1 << 2) | (q2 << 4) | (q3 << 6));
}
