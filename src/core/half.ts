import { exponentOf, f32FromBits, f32ToBits, pow2 } from './bits.ts';
import { roundTiesToEven } from './rounding.ts';

/**
 * The two 16-bit float formats. Decoding is exact; encoding rounds once, to nearest, ties to even.
 *
 *   f16   s eeeee ffffffffff     IEEE 754 binary16: bias 15, 11 significant bits, largest 65504, smallest 2^-24
 *   bf16  s eeeeeeee fffffff     the upper half of a binary32: bias 127, 8 significant bits, smallest 2^-133
 *
 * NaN encodes to one bit pattern of each format, since a host may change the payload of a NaN in passing.
 */

const SIGN = 0x8000;
const F16_INFINITY = 0x7c00;
const F16_NAN = 0x7e00;
const BF16_INFINITY = 0x7f80;
const BF16_NAN = 0x7fc0;

/** Stored fraction bits, and the exponent of the smallest normal number. */
const F16_FRACTION_BITS = 10;
const F16_MIN_EXPONENT = -14;
const BF16_FRACTION_BITS = 7;
const BF16_MIN_EXPONENT = -126;

/** 2^(127 - 15): moves a binary16 exponent, read as a binary32 one, to where it belongs. */
const F16_REBIAS = 2 ** 112;

/** The f32 value of binary16 bits (0..65535). Exact, subnormals included. */
export function f16ToF32(bits: number): number {
  const magnitude = bits & 0x7fff;
  // Put the exponent field where f32 has its own, then multiply: exact also where the f32 is subnormal before.
  const scaled = f32FromBits(magnitude << 13) * F16_REBIAS;
  const value = magnitude < F16_INFINITY ? scaled : magnitude === F16_INFINITY ? Infinity : NaN;
  return bits & SIGN ? -value : value;
}

/** The binary16 bits nearest to x, which may be any number; |x| >= 65520 gives an infinity. */
export function f32ToF16(x: number): number {
  return Number.isNaN(x) ? F16_NAN : signOf(x) | encode(x, F16_FRACTION_BITS, F16_MIN_EXPONENT, F16_INFINITY);
}

/** The f32 value of bf16 bits (0..65535). Exact. */
export function bf16ToF32(bits: number): number {
  return f32FromBits((bits << 16) >>> 0);
}

/** The bf16 bits nearest to x, which may be any number; |x| >= 2^128 - 2^119 gives an infinity. */
export function f32ToBf16(x: number): number {
  return Number.isNaN(x) ? BF16_NAN : signOf(x) | encode(x, BF16_FRACTION_BITS, BF16_MIN_EXPONENT, BF16_INFINITY);
}

/** out[outOffset + i] = f32 value of bits[from + i], for i < n. */
export function f16ArrayToF32(bits: Uint16Array, from: number, n: number, out: Float32Array, outOffset: number): void {
  for (let i = 0; i < n; i++) out[outOffset + i] = f16ToF32(bits[from + i]!);
}

/** out[outOffset + i] = binary16 bits of x[from + i], for i < n. */
export function f32ArrayToF16(x: Float32Array, from: number, n: number, out: Uint16Array, outOffset: number): void {
  for (let i = 0; i < n; i++) out[outOffset + i] = f32ToF16(x[from + i]!);
}

/** out[outOffset + i] = f32 value of bits[from + i], for i < n. */
export function bf16ArrayToF32(bits: Uint16Array, from: number, n: number, out: Float32Array, outOffset: number): void {
  for (let i = 0; i < n; i++) out[outOffset + i] = bf16ToF32(bits[from + i]!);
}

/** out[outOffset + i] = bf16 bits of x[from + i], for i < n. */
export function f32ArrayToBf16(x: Float32Array, from: number, n: number, out: Uint16Array, outOffset: number): void {
  for (let i = 0; i < n; i++) out[outOffset + i] = f32ToBf16(x[from + i]!);
}

function signOf(x: number): number {
  return (f32ToBits(x) >>> 16) & SIGN;
}

/**
 * Magnitude bits of x in a format with `fractionBits` and smallest normal exponent `minExponent`.
 *
 * Numbers between 2^e and 2^(e+1) are the multiples of a quantum 2^(e - fractionBits); below the smallest normal number the
 * quantum stays. With q = round(|x| / quantum) the bits are (e - minExponent) * 2^fractionBits + q: for subnormals that is
 * q, for normal numbers q's leading 1 supplies the missing 1 of the exponent field, and a q that rounds up to the next
 * power of two carries into the exponent by itself.
 */
function encode(x: number, fractionBits: number, minExponent: number, infinity: number): number {
  const e = Math.max(exponentOf(x), minExponent);
  if (e > 127) return infinity; // beyond every f32; keeps the powers of two below in range
  const q = roundTiesToEven(Math.abs(x) * pow2(fractionBits - e)); // the product is exact: only the rounding rounds
  return Math.min((e - minExponent) * (1 << fractionBits) + q, infinity);
}
