// Codes of 6 bits: 4 rows x 32 columns in six byte vectors, which are 32 bytes apart as in codes2.ts, 16 columns in three of them. The low 6 bits of each are one quad's
// codes; their upper 2 bits are bits 5..4, 3..2 and 1..0 of the fourth quad's.
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_6_BITS: usize = 192;

/** From memory: see CONSTANTS in lanes.ts. */
const LOWEST = memory.data<u32>([0x3f3f3f3f]);

/** The low six bits of each byte. */
export function sixBitsOfBytes(): v128 {
  return v128.load32_splat(LOWEST);
}

/** The fourth quad, out of the upper bits of the others. */
function fourth(c0: v128, c1: v128, c2: v128, mask: v128): v128 {
  const top = i16x8.shr_u(v128.andnot(c0, mask), 2);
  const middle = i16x8.shr_u(v128.andnot(c1, mask), 4);
  const bottom = i16x8.shr_u(v128.andnot(c2, mask), 6);
  return v128.or(v128.or(top, middle), bottom);
}

/** sums + 16 columns; `at` is the start of the chunk for the first 16, 96 bytes on for the last; mask: sixBitsOfBytes. */
export function dot16Of6Bits(
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
  const c2 = v128.load(at, 64);
  const first = dotQuad1(dotQuad0(sums, a, x0, v128.and(c0, mask)), a, x1, v128.and(c1, mask));
  return dotQuad3(dotQuad2(first, a, x2, v128.and(c2, mask)), a, x3, fourth(c0, c1, c2, mask));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack6Bits(to: usize, step: usize, at: usize): void {
  const mask = sixBitsOfBytes();
  for (let i = 0; i < 2; i++, at += 96, to += 4 * step) {
    const c0 = v128.load(at);
    const c1 = v128.load(at, 32);
    const c2 = v128.load(at, 64);
    v128.store(to, v128.and(c0, mask));
    v128.store(to + step, v128.and(c1, mask));
    v128.store(to + 2 * step, v128.and(c2, mask));
    v128.store(to + 3 * step, fourth(c0, c1, c2, mask));
  }
}

/** The other way, for one row and 16 columns: codes of four quads in u32, into `to` (the row's 4 bytes of a byte vector). */
export function pack6Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32): void {
  store<u32>(to, q0 | ((q3 & 0x30303030) << 2));
  store<u32>(to, q1 | ((q3 & 0x0c0c0c0c) << 4), 32);
  store<u32>(to, q2 | ((q3 & 0x03030303) << 6), 64);
}
