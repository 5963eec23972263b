// Codes of 5 bits: 4 rows x 32 columns in five byte vectors. The low 5 bits of each are one quad's codes, quads 0..4; their upper
// three bits make the last three quads: quad 5 of vectors 0 (bits 2..0) and 1 (4..3), quad 6 of vectors 2 and 3 likewise, quad 7
// of vector 4 (2..0) and the topmost bits of 1 (bit 3) and 3 (bit 4). As in codes2.ts, the vectors of four rows are 32 bytes apart.
import { dotQuad0, dotQuad1, dotQuad2, dotQuad3 } from './dots';

export const CHUNK_5_BITS: usize = 160;

/** From memory: see CONSTANTS in lanes.ts. */
const MASKS = memory.data<u32>([0x1f1f1f1f, 0x07070707, 0x18181818, 0x08080808, 0x10101010]);

/** The low five bits of each byte. */
export function fiveBitsOfBytes(): v128 {
  return v128.load32_splat(MASKS);
}

/** Quad 5 or 6. */
function ofTwo(c0: v128, c1: v128): v128 {
  const low = v128.and(i16x8.shr_u(c0, 5), v128.load32_splat(MASKS, 4));
  return v128.or(low, v128.and(i16x8.shr_u(c1, 2), v128.load32_splat(MASKS, 8)));
}

/** Quad 7. */
function ofThree(c1: v128, c3: v128, c4: v128): v128 {
  const low = v128.and(i16x8.shr_u(c4, 5), v128.load32_splat(MASKS, 4));
  const middle = v128.and(i16x8.shr_u(c1, 4), v128.load32_splat(MASKS, 12));
  return v128.or(v128.or(low, middle), v128.and(i16x8.shr_u(c3, 3), v128.load32_splat(MASKS, 16)));
}

/** sums + the first 16 columns of the chunk at `at`; mask: fiveBitsOfBytes. */
export function dotFirstOf5Bits(
  sums: v128,
  at: usize,
  a: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  mask: v128,
): v128 {
  const first = dotQuad1(
    dotQuad0(sums, a, x0, v128.and(v128.load(at), mask)),
    a,
    x1,
    v128.and(v128.load(at, 32), mask),
  );
  return dotQuad3(dotQuad2(first, a, x2, v128.and(v128.load(at, 64), mask)), a, x3, v128.and(v128.load(at, 96), mask));
}

/** sums + its last 16 columns. */
export function dotLastOf5Bits(
  sums: v128,
  at: usize,
  a: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  mask: v128,
): v128 {
  const c1 = v128.load(at, 32);
  const c3 = v128.load(at, 96);
  const c4 = v128.load(at, 128);
  const first = dotQuad1(dotQuad0(sums, a, x0, v128.and(c4, mask)), a, x1, ofTwo(v128.load(at), c1));
  return dotQuad3(dotQuad2(first, a, x2, ofTwo(v128.load(at, 64), c3)), a, x3, ofThree(c1, c3, c4));
}

/** The eight vectors of codes of a chunk, `step` bytes apart. */
export function unpack5Bits(to: usize, step: usize, at: usize): void {
  const c0 = v128.load(at);
  const c1 = v128.load(at, 32);
  const c2 = v128.load(at, 64);
  const c3 = v128.load(at, 96);
  const c4 = v128.load(at, 128);
  const mask = fiveBitsOfBytes();
  v128.store(to, v128.and(c0, mask));
  v128.store(to + step, v128.and(c1, mask));
  v128.store(to + 2 * step, v128.and(c2, mask));
  v128.store(to + 3 * step, v128.and(c3, mask));
  v128.store(to + 4 * step, v128.and(c4, mask));
  v128.store(to + 5 * step, ofTwo(c0, c1));
  v128.store(to + 6 * step, ofTwo(c2, c3));
  v128.store(to + 7 * step, ofThree(c1, c3, c4));
}

/** The other way, for one row: codes of eight quads in u32, into `to` (the row's 4 bytes of the first byte vector). */
export function pack5Bits(to: usize, q0: u32, q1: u32, q2: u32, q3: u32, q4: u32, q5: u32, q6: u32, q7: u32): void {
  store<u32>(to, q0 | ((q5 & 0x07070707) << 5));
  store<u32>(to, q1 | ((q5 & 0x18181818) << 2) | ((q7 & 0x08080808) << 4), 32);
  store<u32>(to, q2 | ((q6 & 0x07070707) << 5), 64);
  store<u32>(to, q3 | ((q6 & 0x18181818) << 2) | ((q7 & 0x10101010) << 3), 96);
  store<u32>(to, q4 | ((q7 & 0x07070707) << 5), 128);
}
