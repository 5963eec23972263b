import { describe, expect, test } from 'vitest';
import {
  bf16ArrayToF32,
  bf16ToF32,
  f16ArrayToF32,
  f16ToF32,
  f32ArrayToBf16,
  f32ArrayToF16,
  f32ToBf16,
  f32ToF16,
} from '../../src/core/half.ts';
import { firstBitDifference } from '../support/bits.ts';
import { F32_EDGES, f32Sweep, f64Around } from '../support/floats.ts';

interface HalfFormat {
  readonly name: string;
  readonly decode: (bits: number) => number;
  readonly encode: (x: number) => number;
  readonly infinity: number;
  /** value of a magnitude below infinity, straight from the format's definition. */
  readonly value: (magnitude: number) => number;
}

const definition =
  (fractionBits: number, bias: number) =>
  (magnitude: number): number => {
    const exponent = magnitude >> fractionBits;
    const fraction = (magnitude & ((1 << fractionBits) - 1)) / 2 ** fractionBits;
    return exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  };

const FORMATS: readonly HalfFormat[] = [
  { name: 'f16', decode: f16ToF32, encode: f32ToF16, infinity: 0x7c00, value: definition(10, 15) },
  { name: 'bf16', decode: bf16ToF32, encode: f32ToBf16, infinity: 0x7f80, value: definition(7, 127) },
];

/**
 * Encoding by definition: among the magnitudes, found by bisection on decoded values, the nearest; of two, the even one.
 * The format's next power of two stands for infinity.
 */
function nearestCode({ value, infinity }: HalfFormat, x: number): number {
  const a = Math.abs(x);
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  if (a >= value(infinity)) return sign | infinity;
  let low = 0;
  for (let high = infinity; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (value(middle) <= a) low = middle;
    else high = middle;
  }
  const below = a - value(low); // exact, and so is the next line: f32 and 16-bit neighbours within a factor of 2
  const above = value(low + 1) - a;
  if (below < above) return sign | low;
  if (below > above) return sign | (low + 1);
  return sign | (low + (low & 1));
}

/** First x of `inputs` whose code is not the nearest one; null when there is none. */
function firstWrong(format: HalfFormat, encode: (x: number) => number, inputs: Iterable<number>): number | null {
  for (const x of inputs) if (!Number.isNaN(x) && encode(x) !== nearestCode(format, x)) return x;
  return null;
}

describe.each(FORMATS)('$name', (format) => {
  const { decode, encode, infinity, value } = format;

  test('every code decodes to the value of its definition', () => {
    for (let m = 0; m < 0x8000; m++) {
      const expected = m < infinity ? value(m) : m === infinity ? Infinity : NaN;
      if (!Object.is(decode(m), expected) || !Object.is(decode(m | 0x8000), -expected)) expect.fail(`code ${m}`);
    }
  });

  test('every code survives decode and encode; every NaN becomes the quiet NaN', () => {
    for (let code = 0; code < 0x10000; code++) {
      const isNan = (code & 0x7fff) > infinity;
      const back = encode(decode(code));
      if (isNan ? !Number.isNaN(decode(back)) : back !== code) expect.fail(`code ${code} came back as ${back}`);
    }
  });

  /** Codes' midpoints and their neighbours, where rounding decides. */
  function* midpoints(): Generator<number> {
    for (let m = 0; m < infinity; m++) yield* f64Around((value(m) + value(m + 1)) / 2, 1).flatMap((x) => [x, -x]);
  }

  test('encodes to the nearest, ties to even', () => {
    expect(firstWrong(format, encode, f32Sweep(20011))).toBeNull();
    expect(firstWrong(format, encode, midpoints())).toBeNull();
    expect(firstWrong(format, encode, [...F32_EDGES, Infinity, -Infinity, 5e-324, 1e300])).toBeNull();
  });

  test('ties away, cutting, and flushed subnormals are caught', () => {
    const cut = (x: number): number => {
      const code = encode(x);
      return Math.abs(decode(code)) > Math.abs(x) ? code - 1 : code;
    };
    expect(firstWrong(format, cut, f32Sweep(20011))).not.toBeNull();
    const flush = (x: number): number =>
      Math.abs(x) < value(1 << (format.name === 'f16' ? 10 : 7)) ? encode(x) & 0x8000 : encode(x);
    expect(firstWrong(format, flush, midpoints())).not.toBeNull();
    const away = (x: number): number => encode(x * (1 + 2 ** -50));
    expect(firstWrong(format, away, midpoints())).not.toBeNull();
  });
});

test('array forms do the same, element by element, at their offsets', () => {
  const x = Float32Array.from([9, ...F32_EDGES, NaN, Infinity, 9]);
  const n = x.length - 2;
  for (const [toArray, fromArray, decode, encode] of [
    [f32ArrayToF16, f16ArrayToF32, f16ToF32, f32ToF16],
    [f32ArrayToBf16, bf16ArrayToF32, bf16ToF32, f32ToBf16],
  ] as const) {
    const codes = new Uint16Array(n + 4).fill(0xabcd);
    toArray(x, 1, n, codes, 2);
    expect([...codes]).toEqual([0xabcd, 0xabcd, ...Array.from(x.subarray(1, n + 1), encode), 0xabcd, 0xabcd]);
    const values = new Float32Array(n + 2).fill(7);
    fromArray(codes, 2, n, values, 1);
    const expected = [7, ...Array.from(codes.subarray(2, n + 2), decode), 7];
    expect(firstBitDifference(values, expected)).toBe(-1);
  }
});
