/**
 * Inputs that numeric code gets wrong, and sweeps over bit patterns.
 */

/** Every step-th f32 by bit pattern, NaN and infinities included: all exponents, both signs. An odd step hits all low bits. */
export function* f32Sweep(step: number): Generator<number> {
  const bits = new Uint32Array(1);
  const value = new Float32Array(bits.buffer);
  for (let b = 0; b < 2 ** 32; b += step) {
    bits[0] = b;
    yield value[0]!;
  }
}

/** The n f32 on each side of x, and x. */
export function f32Around(x: number, n: number): number[] {
  const value = new Float32Array([x]);
  const bits = new Int32Array(value.buffer);
  const middle = bits[0]!;
  const found: number[] = [];
  for (let d = -n; d <= n; d++) {
    bits[0] = middle + d;
    found.push(value[0]!);
  }
  return found;
}

/** The n f64 on each side of x, and x. */
export function f64Around(x: number, n: number): number[] {
  const value = new Float64Array([x]);
  const bits = new BigInt64Array(value.buffer);
  const middle = bits[0]!;
  const found: number[] = [];
  for (let d = -n; d <= n; d++) {
    bits[0] = middle + BigInt(d);
    found.push(value[0]!);
  }
  return found;
}

export const F32_MAX = 2 ** 128 - 2 ** 104;
export const F32_MIN_NORMAL = 2 ** -126;
export const F32_MIN = 2 ** -149;

/** Finite f32 at every edge of the format, both signs. */
export const F32_EDGES: readonly number[] = [
  0,
  F32_MIN,
  F32_MIN_NORMAL - F32_MIN,
  F32_MIN_NORMAL,
  2 ** -24,
  0.5,
  1,
  2 ** 24,
  F32_MAX,
].flatMap((x) => [x, -x]);

const scratch = new DataView(new ArrayBuffer(8));

/** floor(log2) of the gap between f32 numbers at `exact`; the subnormal gap below 2^-126. */
function f32GapExponent(exact: number): number {
  scratch.setFloat64(0, exact);
  return Math.max(((scratch.getUint32(0) >>> 20) & 0x7ff) - 1023, -126) - 23;
}

/** |got - exact| in units of the gap between f32 numbers at `exact`, a finite f64. NaN when got is NaN. */
export function ulpErrorF32(got: number, exact: number): number {
  return Math.abs(got - exact) * 2 ** -f32GapExponent(exact);
}

/** Small seeded generator for test inputs (mulberry32): uniform in [0, 1). */
export function testRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
