/**
 * Numbers as their bits, and powers of two made from bits (exact on every host, which `**` is not promised to be).
 *
 * One scratch buffer is shared by the functions below; each call writes before it reads, so nothing is kept in it.
 * A DataView fixes the byte order, so the host's own does not matter.
 */
const scratch = new DataView(new ArrayBuffer(8));

/** Exponent bias of binary32: the stored exponent of 1.0. */
const F32_BIAS = 127;
/** Exponent bias of binary64. */
const F64_BIAS = 1023;
/** Stored significand bits of binary32. */
const F32_FRACTION_BITS = 23;
/** Significand bits of binary64 that are in the upper word. */
const F64_UPPER_FRACTION_BITS = 20;

/** The 32 bits of x as an unsigned integer; x is rounded to f32 first. Which NaN comes out is up to the host. */
export function f32ToBits(x: number): number {
  scratch.setFloat32(0, x);
  return scratch.getUint32(0);
}

/** The f32 value of 32 bits. */
export function f32FromBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** 2^n, for the n of normal f32 numbers: -126..127. The kernel's form: `(n + 127) << 23`. */
export function pow2F32(n: number): number {
  return f32FromBits((n + F32_BIAS) << F32_FRACTION_BITS);
}

/** Every normal power of two, 2^-1022 first: a look-up is several times faster than two stores into a view. */
const POWERS_OF_TWO = Float64Array.from({ length: 2 * F64_BIAS }, (_, i) => {
  scratch.setUint32(0, (i + 1) << F64_UPPER_FRACTION_BITS);
  scratch.setUint32(4, 0);
  return scratch.getFloat64(0);
});

/** 2^n, for the n of normal f64 numbers: -1022..1023. */
export function pow2(n: number): number {
  return POWERS_OF_TWO[n + F64_BIAS - 1]!;
}

/**
 * floor(log2 |x|) for finite normal x, read from the exponent field.
 * 0 and subnormals give -1023, infinities and NaN give 1024.
 */
export function exponentOf(x: number): number {
  scratch.setFloat64(0, x);
  return ((scratch.getUint32(0) >>> F64_UPPER_FRACTION_BITS) & 0x7ff) - F64_BIAS;
}

/** |magnitude| with the sign of `sign`, whose -0 counts as negative. NaN stays NaN. Kernels: `v128.bitselect`. */
export function copySign(magnitude: number, sign: number): number {
  const a = Math.abs(magnitude);
  return sign < 0 || Object.is(sign, -0) ? -a : a;
}
