// What kernels share: the first n lanes of a vector, rows turned into columns, the stated order of sums within a row (twin: src/core/sum.ts), exp in
// four lanes (twin: src/core/math_f32.ts), and the exact decoding of f16.

/** Stores the first n lanes of v at `at`; n >= 4 stores all four, n <= 0 none. */
export function storeLanes(at: usize, v: v128, n: i32): void {
  if (n >= 4) {
    v128.store(at, v);
    return;
  }
  if (n > 0) store<f32>(at, f32x4.extract_lane(v, 0));
  if (n > 1) store<f32>(at, f32x4.extract_lane(v, 1), 4);
  if (n > 2) store<f32>(at, f32x4.extract_lane(v, 2), 8);
}

/** Loads min(n, 4) floats into the first lanes; the other lanes are +0. Memory beyond them is not read. */
export function loadLanes(at: usize, n: i32): v128 {
  if (n >= 4) return v128.load(at);
  let v = f32x4.splat(0);
  if (n > 0) v = f32x4.replace_lane(v, 0, load<f32>(at));
  if (n > 1) v = f32x4.replace_lane(v, 1, load<f32>(at, 4));
  if (n > 2) v = f32x4.replace_lane(v, 2, load<f32>(at, 8));
  return v;
}

/** Stores column i of four rows of four 32-bit lanes at to + i * stride. */
export function storeColumns4(to: usize, stride: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab01 = i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const ab23 = i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const cd01 = i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const cd23 = i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v128.store(to, lowHalves(ab01, cd01));
  v128.store(to + stride, highHalves(ab01, cd01));
  v128.store(to + 2 * stride, lowHalves(ab23, cd23));
  v128.store(to + 3 * stride, highHalves(ab23, cd23));
}

/**
 * Turns eight rows of eight u16 that lie `stride` bytes apart into eight columns from `to` on, one behind the other. Gives the lanes,
 * all bits set, in which any row has all bits of `exponent`.
 */
export function storeColumns8(to: usize, from: usize, stride: usize, exponent: v128): v128 {
  let found = i16x8.splat(0);
  for (let half: usize = 0; half < 2; half++, to += 8, from += 4 * stride) {
    const a = v128.load(from);
    const b = v128.load(from + stride);
    const c = v128.load(from + 2 * stride);
    const d = v128.load(from + 3 * stride);
    found = v128.or(found, i16x8.eq(v128.and(a, exponent), exponent));
    found = v128.or(found, i16x8.eq(v128.and(b, exponent), exponent));
    found = v128.or(found, i16x8.eq(v128.and(c, exponent), exponent));
    found = v128.or(found, i16x8.eq(v128.and(d, exponent), exponent));
    const abLow = i8x16.shuffle(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
    const abHigh = i8x16.shuffle(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
    const cdLow = i8x16.shuffle(c, d, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
    const cdHigh = i8x16.shuffle(c, d, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
    storeTwoColumns(to, i8x16.shuffle(abLow, cdLow, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23));
    storeTwoColumns(to + 32, i8x16.shuffle(abLow, cdLow, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31));
    storeTwoColumns(to + 64, i8x16.shuffle(abHigh, cdHigh, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23));
    storeTwoColumns(
      to + 96,
      i8x16.shuffle(abHigh, cdHigh, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31),
    );
  }
  return found;
}

/** Four rows of two neighbouring columns of eight. */
function storeTwoColumns(to: usize, columns: v128): void {
  v128.store64_lane(to, columns, 0);
  v128.store64_lane(to, columns, 1, 16);
}

function lowHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

function highHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}

/** Eight u16, one from each of eight rows that lie `stride` bytes apart. */
export function gatherU16x8(at: usize, stride: usize): v128 {
  let v = i16x8.splat(0);
  v = v128.load16_lane(at, v, 0);
  v = v128.load16_lane(at + stride, v, 1);
  v = v128.load16_lane(at + 2 * stride, v, 2);
  v = v128.load16_lane(at + 3 * stride, v, 3);
  v = v128.load16_lane(at + 4 * stride, v, 4);
  v = v128.load16_lane(at + 5 * stride, v, 5);
  v = v128.load16_lane(at + 6 * stride, v, 6);
  return v128.load16_lane(at + 7 * stride, v, 7);
}

/** (l0 + l2) + (l1 + l3): the end of every sum within a row. */
export function addLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 2) + (f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 3));
}

/** Sum of n floats in the stated order, from +0: lane j adds elements j (mod 4). */
export function sumRow(x: usize, n: i32): f32 {
  let lanes = f32x4.splat(0);
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16) lanes = f32x4.add(lanes, v128.load(x));
  if (n & 3) lanes = f32x4.add(lanes, loadLanes(x, n & 3));
  return addLanes(lanes);
}

/**
 * Sum of n squares, each rounded before it is added: lane j adds elements j (mod 4). The tail's missing elements count as +0,
 * which changes no lane: a lane starts at +0, so it never holds -0.
 */
export function sumSquaresRow(x: usize, n: i32): f32 {
  let lanes = f32x4.splat(0);
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16) {
    const v = v128.load(x);
    lanes = f32x4.add(lanes, f32x4.mul(v, v));
  }
  if (n & 3) {
    const v = loadLanes(x, n & 3);
    lanes = f32x4.add(lanes, f32x4.mul(v, v));
  }
  return addLanes(lanes);
}

/**
 * Largest of n floats that holds no NaN, -Infinity for none; with one it may be any of them, or that NaN. The order of
 * maxima shows in nothing but the sign of a zero. Four maxima side by side, since each waits for the one before it.
 */
export function maxRow(x: usize, n: i32): f32 {
  let lanes = f32x4.splat(-Infinity);
  let b = lanes;
  let c = lanes;
  let d = lanes;
  const end16 = x + ((<usize>(n & ~15)) << 2);
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end16; x += 64) {
    lanes = f32x4.pmax(lanes, v128.load(x));
    b = f32x4.pmax(b, v128.load(x, 16));
    c = f32x4.pmax(c, v128.load(x, 32));
    d = f32x4.pmax(d, v128.load(x, 48));
  }
  lanes = f32x4.pmax(f32x4.pmax(lanes, b), f32x4.pmax(c, d));
  for (; x < end; x += 16) lanes = f32x4.pmax(lanes, v128.load(x));
  let max: f32 = Mathf.max(
    Mathf.max(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
    Mathf.max(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3)),
  );
  for (let i = 0; i < (n & 3); i++) max = Mathf.max(max, load<f32>(x + ((<usize>i) << 2)));
  return max;
}

/**
 * exp's constants, names and values of src/core/math_f32.ts, where the polynomial is explained:
 * EXP_LOW, EXP_HIGH, LOG2_E, TO_WHOLE, LN2_HIGH, LN2_LOW, E6, E5, E4, E3, E2, 1. From memory: see CONSTANTS.
 */
const EXP = memory.data<f32>([
  -104, 89, 1.4426950216293335, 12582912, 0.693145751953125, 1.4286068203094173e-6, 0.0013818931765854359,
  0.008368703536689281, 0.04166828840970993, 0.1666652113199234, 0.4999999403953552, 1,
]);
/**
 * Bits of TO_WHOLE = 1.5 * 2^23, less twice the exponent bias: adding TO_WHOLE to a small number rounds it to a whole one, ties to even,
 * and leaves that one in the low bits. Here they become n + 254.
 */
const WHOLE_BITS = memory.data<i32>([0x4b400000 - 254]);
const F32_FRACTION_BITS = 23;

/**
 * exp32 in four lanes, with the bits of its twin. pmax and pmin, one instruction each, keep a NaN in their first operand, as max and
 * min do; p stays NaN whatever its integer lanes become. Rounding through TO_WHOLE gives +0 where the twin has n = -0: r may
 * be a zero of the other sign, and r + 1 does not show it.
 */
export function exp4(x: v128): v128 {
  const clamped = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(EXP)), v128.load32_splat(EXP, 4));
  const shifted = f32x4.add(f32x4.mul(clamped, v128.load32_splat(EXP, 8)), v128.load32_splat(EXP, 12));
  const n = f32x4.sub(shifted, v128.load32_splat(EXP, 12));
  const high = f32x4.mul(n, v128.load32_splat(EXP, 16));
  const r = f32x4.sub(f32x4.sub(clamped, high), f32x4.mul(n, v128.load32_splat(EXP, 20)));
  let q = v128.load32_splat(EXP, 24);
  q = f32x4.add(f32x4.mul(q, r), v128.load32_splat(EXP, 28));
  q = f32x4.add(f32x4.mul(q, r), v128.load32_splat(EXP, 32));
  q = f32x4.add(f32x4.mul(q, r), v128.load32_splat(EXP, 36));
  q = f32x4.add(f32x4.mul(q, r), v128.load32_splat(EXP, 40));
  const tail = f32x4.add(r, f32x4.mul(f32x4.mul(r, r), q));
  const p = f32x4.add(tail, v128.load32_splat(EXP, 44));

  // 2^n in two halves, the bias in each: (n + 254) >> 1 = (n >> 1) + 127.
  const biased = i32x4.sub(shifted, v128.load32_splat(WHOLE_BITS));
  const half = i32x4.shr_s(biased, 1);
  const rest = i32x4.sub(biased, half);
  return f32x4.mul(f32x4.mul(p, i32x4.shl(half, F32_FRACTION_BITS)), i32x4.shl(rest, F32_FRACTION_BITS));
}

/** F3, F2 of src/core/math_f32.ts. */
const EXP_FAST = memory.data<f32>([0.1666281521320343, 0.5039410591125488]);

/** expFast32 in four lanes, with the bits of its twin: exp4 with the shorter polynomial. */
export function expFast4(x: v128): v128 {
  const clamped = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(EXP)), v128.load32_splat(EXP, 4));
  const shifted = f32x4.add(f32x4.mul(clamped, v128.load32_splat(EXP, 8)), v128.load32_splat(EXP, 12));
  const n = f32x4.sub(shifted, v128.load32_splat(EXP, 12));
  const high = f32x4.mul(n, v128.load32_splat(EXP, 16));
  const r = f32x4.sub(f32x4.sub(clamped, high), f32x4.mul(n, v128.load32_splat(EXP, 20)));
  const q = f32x4.add(f32x4.mul(v128.load32_splat(EXP_FAST), r), v128.load32_splat(EXP_FAST, 4));
  const tail = f32x4.add(r, f32x4.mul(f32x4.mul(r, r), q));
  const p = f32x4.add(tail, v128.load32_splat(EXP, 44));
  const biased = i32x4.sub(shifted, v128.load32_splat(WHOLE_BITS));
  const half = i32x4.shr_s(biased, 1);
  const rest = i32x4.sub(biased, half);
  return f32x4.mul(f32x4.mul(p, i32x4.shl(half, F32_FRACTION_BITS)), i32x4.shl(rest, F32_FRACTION_BITS));
}

/**
 * erf's constants, names and values of src/core/math_f32.ts: ERF_ONE, ERF_SMALL, R6 to R0, C6 to C0, 1.
 */
const ERF = memory.data<f32>([
  4, 1, 7.80698173912242e-5, -0.0007997865322977304, 0.005187162663787603, -0.026853347197175026, 0.11283578723669052,
  -0.3761262595653534, 0.12837916612625122, 0.00018637946050148457, -0.0029476704075932503, 0.021838132292032242,
  -0.10310690850019455, -0.6381446719169617, -1.127089262008667, -0.0003415146202314645, 1,
]);

/** erf32 in four lanes, with the bits of its twin: both of its parts are computed, one is taken, with the sign of x. */
export function erf4(x: v128): v128 {
  const a = f32x4.min(f32x4.abs(x), v128.load32_splat(ERF));
  const z = f32x4.mul(a, a);
  let q = v128.load32_splat(ERF, 8);
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(ERF, 12));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(ERF, 16));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(ERF, 20));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(ERF, 24));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(ERF, 28));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(ERF, 32));
  const small = f32x4.add(a, f32x4.mul(a, q));

  let c = v128.load32_splat(ERF, 36);
  c = f32x4.add(f32x4.mul(c, a), v128.load32_splat(ERF, 40));
  c = f32x4.add(f32x4.mul(c, a), v128.load32_splat(ERF, 44));
  c = f32x4.add(f32x4.mul(c, a), v128.load32_splat(ERF, 48));
  c = f32x4.add(f32x4.mul(c, a), v128.load32_splat(ERF, 52));
  c = f32x4.add(f32x4.mul(c, a), v128.load32_splat(ERF, 56));
  c = f32x4.add(f32x4.mul(c, a), v128.load32_splat(ERF, 60));
  const large = f32x4.sub(v128.load32_splat(ERF, 64), exp4(c));

  const size = v128.bitselect(small, large, f32x4.lt(a, v128.load32_splat(ERF, 4)));
  return v128.bitselect(x, size, f32x4.neg(f32x4.splat(0)));
}

/** tanh's constants, names and values of src/core/math_f32.ts: TANH_SMALL, T11, T9, T7, T5, T3, 1, 2. */
const TANH = memory.data<f32>([
  0.625, -0.0056923567317426205, 0.020628198981285095, -0.05373651906847954, 0.13331405818462372, -0.3333328068256378,
  1, 2,
]);

/** tanh32 in four lanes, with the bits of its twin: as erf4. */
export function tanh4(x: v128): v128 {
  const a = f32x4.abs(x);
  const z = f32x4.mul(a, a);
  let q = v128.load32_splat(TANH, 4);
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(TANH, 8));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(TANH, 12));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(TANH, 16));
  q = f32x4.add(f32x4.mul(q, z), v128.load32_splat(TANH, 20));
  const small = f32x4.add(a, f32x4.mul(f32x4.mul(a, z), q));

  const one = v128.load32_splat(TANH, 24);
  const below = f32x4.add(exp4(f32x4.add(a, a)), one);
  const large = f32x4.sub(one, f32x4.div(v128.load32_splat(TANH, 28), below));

  const size = v128.bitselect(small, large, f32x4.lt(a, v128.load32_splat(TANH)));
  return v128.bitselect(x, size, f32x4.neg(f32x4.splat(0)));
}

/** cap * tanh(x / cap) in four lanes, with the bits of its twin, src/ops/soft_cap.ts. */
export function softCap4(x: v128, cap: v128): v128 {
  return f32x4.mul(cap, tanh4(f32x4.div(x, cap)));
}

/** The smallest of n i32; the largest i32 where there is none. */
export function smallest(at: usize, n: i32): i32 {
  let least = i32.MAX_VALUE;
  for (let i: usize = 0; i < <usize>n; i++) least = min(least, load<i32>(at + (i << 2)));
  return least;
}

/** The largest of n counts; 0 where there is none. */
export function largest(at: usize, n: i32): i32 {
  let most = 0;
  for (let i: usize = 0; i < <usize>n; i++) most = max(most, load<i32>(at + (i << 2)));
  return most;
}

/**
 * Constants of hot loops, broadcast from memory: one instruction, while V8 builds a vector constant anew at every use, with
 * several instructions and (V8 13.6) also within a loop.
 */
const CONSTANTS = memory.data<u32>([
  0x0f0f0f0f, 0x000f000f, 0x8fffffff, 0x7fffffff, 0x0f7fffff, 0x7f800000, 0x77800000, 0x00ff00ff, 0x80808080, 0,
  0x7c007c00, 0x7f807f80, 0x8fff8fff, 0x00010001,
]);

/** The low four bits of each byte. */
export function nibblesOfBytes(): v128 {
  return v128.load32_splat(CONSTANTS);
}

/** The low four bits of each 16-bit lane. */
export function nibblesOfWords(): v128 {
  return v128.load32_splat(CONSTANTS, 4);
}

/** The low byte of each 16-bit lane. */
export function bytesOfWords(): v128 {
  return v128.load32_splat(CONSTANTS, 28);
}

/** 1 in each 16-bit lane. */
export function onesOfWords(): v128 {
  return v128.load32_splat(CONSTANTS, 52);
}

/** Nothing but zeros. */
export function zeros(): v128 {
  return v128.load32_splat(CONSTANTS, 36);
}

/** The first bit of each byte. */
export function firstBitsOfBytes(): v128 {
  return v128.load32_splat(CONSTANTS, 32);
}

/** 2^(127 - 15) as an f32: moves a binary16 exponent, read as a binary32 one, to where it belongs. */
function f16Rebias(): v128 {
  return v128.load32_splat(CONSTANTS, 24);
}

/**
 * Four f16, each sign-extended to 32 bits, as f32; exact, with subnormals, infinities, NaN and the sign of zero.
 * A shift puts fraction and exponent where f32 has them; the mask keeps one of the four copies of the sign. Multiplying by 2^112
 * then also normalizes subnormals. Exponent 31 (infinity, NaN) becomes exponent 255 before that.
 */
export function f16ToF32x4(h: v128): v128 {
  const bits = v128.and(i32x4.shl(h, 13), v128.load32_splat(CONSTANTS, 8));
  const magnitude = v128.and(bits, v128.load32_splat(CONSTANTS, 12));
  const notFinite = i32x4.gt_s(magnitude, v128.load32_splat(CONSTANTS, 16));
  const exponent = v128.and(notFinite, v128.load32_splat(CONSTANTS, 20));
  return f32x4.mul(v128.or(bits, exponent), f16Rebias());
}

/** The same for finite numbers alone: half the instructions. */
export function finiteF16ToF32x4(h: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(h, 13), v128.load32_splat(CONSTANTS, 8)), f16Rebias());
}

/** One f16 as f32. */
export function f16ToF32(h: i16): f32 {
  return f32x4.extract_lane(f16ToF32x4(i32x4.splat(<i32>h)), 0);
}

/**
 * Eight f16 at once, by the same rule: the upper halves of the eight f32 before the multiplication (the lower halves are
 * h << 13). Half the work of two f16ToF32x4.
 */
export function f16UpperHalves(h: v128): v128 {
  const exponent = v128.load32_splat(CONSTANTS, 40);
  const notFinite = i16x8.eq(v128.and(h, exponent), exponent);
  return v128.or(finiteF16UpperHalves(h), v128.and(notFinite, v128.load32_splat(CONSTANTS, 44)));
}

/** The same for finite numbers alone. The shift has copied the sign, and one copy is kept. */
export function finiteF16UpperHalves(h: v128): v128 {
  return v128.and(i16x8.shr_s(h, 3), v128.load32_splat(CONSTANTS, 48));
}

/** Whether eight f16, shifted left by one (or the largest of many such), are all finite: without the five bits of the exponent. */
export function f16AllFinite(doubled: v128): bool {
  return !v128.any_true(i16x8.ge_u(doubled, i16x8.splat(<i16>0xf800)));
}

/** The first four f32 of lower and upper halves, multiplied into place. */
export function f16FirstFour(lower: v128, upper: v128): v128 {
  return f32x4.mul(interleaveFirst(lower, upper), f16Rebias());
}

/** The last four. */
export function f16LastFour(lower: v128, upper: v128): v128 {
  return f32x4.mul(interleaveLast(lower, upper), f16Rebias());
}

/** l0 u0 l1 u1 l2 u2 l3 u3: four 32-bit lanes from the first halves of two vectors of 16-bit lanes. */
export function interleaveFirst(lower: v128, upper: v128): v128 {
  return v128.shuffle<i16>(lower, upper, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** l4 u4 l5 u5 l6 u6 l7 u7. */
export function interleaveLast(lower: v128, upper: v128): v128 {
  return v128.shuffle<i16>(lower, upper, 4, 12, 5, 13, 6, 14, 7, 15);
}

// Integer dot products. The two builds hold the same exact integers in different forms:
//   simd     four i32 sums; operands are pairs of i16, multiplied and added by one instruction
//   relaxed  eight i16 sums, two for each 32-bit lane; operands are bytes, the second one in 0..127, so that the specification
//            leaves no choice. Sums wrap around, so it is their ends that must fit 16 bits: see startOf in blocks/q8_record.ts.

/** sums + a . w, lane by lane. */
export function dotStep(sums: v128, a: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.add(sums, i16x8.relaxed_dot_i8x16_i7x16_s(a, w));
  return i32x4.add(sums, i32x4.dot_i16x8_s(a, w));
}

/** The four i32 that `dotStep` has summed. */
export function dotSums(sums: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.extadd_pairwise_i16x8_s(sums);
  return sums;
}
