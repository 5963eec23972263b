// Codes of 6 bits: 4 rows x 32 columns in 96 bytes, 16 columns in three byte vectors. The low 6 bits of each are one quad's
// codes; their upper 2 bits are bits 5..4, 3..2 and 1..0 of the fourth quad's.
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_6_BITS: usize = 96;

/** From memory: see CONSTANTS in lanes.ts. */
const MASKS = memory.data<u32>([0x3f3f3f3f, 0x30303030, 0x0c0c0c0c, 0x03030303]);

function own(c: v128): v128 {
  return v128.and(c, v128.load32_splat(MASKS));
}

/** The fourth quad, out of the upper bits of the others. */
function fourth(c0: v128, c1: v128, c2: v128): v128 {
  const top = v128.and(i16x8.shr_u(c0, 2), v128.load32_splat(MASKS, 4));
  const middle = v128.and(i16x8.shr_u(c1, 4), v128.load32_splat(MASKS, 8));
  const bottom = v128.and(i16x8.shr_u(c2, 6), v128.load32_splat(MASKS, 12));
  return v128.or(v128.or(top, middle), bottom);
}

/** sums + 16 columns; `at` is the start of the chunk for the first 16, 48 bytes on for the last. */
export function dot16Of6Bits(sums: v128, at: usize, a: usize): v128 {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 16);
  const c2 = v128.load(at, 32);
  const first = dotQuad1(dotQuad0(sums, a, own(c0)), a, own(c1));
  return dotQuad3(dotQuad2(first, a, own(c2)), a, fourth(c0, c1, c2));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack6Bits(to: usize, step: usize, at: usize): void {
  for (let i = 0; i < 2; i++, at += 48, to += 4 * step) {
    const c0 = v128.load(at);
    const c1 = v128.load(at, 16);
    const c2 = v128.load(at, 32);
    v128.store(to, own(c0));
    v128.store(to + step, own(c1));
    v128.store(to + 2 * step, own(c2));
    v128.store(to + 3 * step, fourth(c0, c1, c2));
  }
}

/** The other way, for one row and 16 columns: codes of four quads in u32, into `to` (the row's 4 bytes of a byte vector). */
export function pack6Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32): void {
  store<u32>(to, q0 | ((q3 & 0x30303030) << 2));
  store<u32>(to, q1 | ((q3 & 0x0c0c0c0c) << 4), 16);
  store<u32>(to, q2 | ((q3 & 0x03030303) << 6), 32);
}
