import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import { ShapeError, UnsupportedError } from '../../src/core/errors.ts';
import { type Format as AnyFormat, FORMATS } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { F32_EDGES } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

const ALL = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const satisfies readonly DType[];

/** What these formats have; `all_formats.test.ts` has the tests of every format. */
type Format = Required<Pick<AnyFormat, 'pack' | 'unpack' | 'worstCaseError'>>;

/** One block's worth of values at one scale 2^e, with zeros, equals, ties, subnormals and the scale's own extremes. */
const blockAt = fc.integer({ min: -149, max: 127 }).chain((e) =>
  fc
    .array(
      fc.oneof(
        fc.float({ min: -1, max: 1, noNaN: true }),
        fc.constantFrom(0, -0, 1, -1, 0.5, -0.5),
        fc.integer({ min: -127, max: 127 }).map((c) => c / 127),
        fc.integer({ min: -16, max: 16 }).map((c) => c / 16),
      ),
      { minLength: 32, maxLength: 32 },
    )
    .map((xs) => Float32Array.from(xs, (x) => x * 2 ** e)),
);

const row = fc.array(blockAt, { maxLength: 3 }).map((blocks) => Float32Array.from(blocks.flatMap((b) => [...b])));

const CANARY = 0xa5;

/** pack then unpack at skewed places; null when something beyond its part was written. */
function roundTrip(dtype: DType, { pack, unpack }: Format, x: Float32Array, skew: number): Float32Array | null {
  const n = x.length;
  const bytes = new Uint8Array(rowBytes(dtype, n) + 2 * skew).fill(CANARY);
  pack(Float32Array.from([...Array(skew).fill(1e30), ...x]), skew, n, bytes, skew);
  const out = new Float32Array(n + 2 * skew).fill(CANARY);
  unpack(bytes, skew, out, skew, n);
  const untouched =
    [...bytes.subarray(0, skew), ...bytes.subarray(bytes.length - skew)].every((b) => b === CANARY) &&
    [...out.subarray(0, skew), ...out.subarray(out.length - skew)].every((v) => v === CANARY);
  return untouched ? out.slice(skew, skew + n) : null;
}

/** Every element comes back within the format's worst-case error for its block. */
const keepsItsPromise = (dtype: DType, format: Format) =>
  fc.property(row, fc.nat(3), (x, skew) => {
    const back = roundTrip(dtype, format, x, skew);
    if (back === null) return false;
    const { blockSize } = DTYPES[dtype];
    return x.every((v, i) => {
      const first = i - (i % blockSize);
      const amax = x.subarray(first, first + blockSize).reduce((max, w) => Math.max(max, Math.abs(w)), 0);
      const bound = format.worstCaseError(amax);
      return bound === Infinity || Math.abs(back[i]! - v) <= bound;
    });
  });

describe.each(ALL)('%s', (dtype) => {
  const format = FORMATS[dtype];

  test('pack and unpack stay within the worst-case error, and within their buffers', () => {
    fc.assert(keepsItsPromise(dtype, format), { numRuns: 1000 });
  });

  test('unpacking what was packed, then packing that, gives the same values', () => {
    fc.assert(
      fc.property(blockAt, (x) => {
        const once = roundTrip(dtype, format, x, 0)!;
        if (!once.every(Number.isFinite)) return true;
        const twice = roundTrip(dtype, format, once, 0)!;
        const amax = once.reduce((max, w) => Math.max(max, Math.abs(w)), 0);
        return twice.every((v, i) => Math.abs(v - once[i]!) <= format.worstCaseError(amax));
      }),
    );
  });

  test('a bound that is not Infinity means that finite stays finite', () => {
    const { blockSize } = DTYPES[dtype];
    for (const amax of F32_EDGES.filter((v) => v > 0).concat([65504, 65519, 65520, 8.3e6, 8.4e6, 524159, 524161])) {
      if (format.worstCaseError(amax) === Infinity) continue;
      const x = new Float32Array(blockSize).fill(amax);
      expect(roundTrip(dtype, format, x, 0)!.every(Number.isFinite), `${dtype} at ${amax}`).toBe(true);
    }
  });

  test('short buffers, odd places and part blocks are refused', () => {
    const { blockSize, blockBytes } = DTYPES[dtype];
    const values = new Float32Array(blockSize);
    const bytes = new Uint8Array(blockBytes);
    const refused: (() => void)[] = [
      () => format.unpack(bytes.subarray(1), 0, values, 0, blockSize),
      () => format.unpack(bytes, 1, values, 0, blockSize),
      () => format.unpack(bytes, -1, values, 0, blockSize),
      () => format.unpack(bytes, 0, values, 1, blockSize),
      () => format.pack(values, 1, blockSize, bytes, 0),
      () => format.pack(values, 0, blockSize, bytes, 1),
      () => format.pack(values, 0, NaN, bytes, 0),
      () => format.pack(values, 0, -blockSize, bytes, 0),
      () => format.pack(values, 0.5, blockSize, bytes, 0),
    ];
    if (blockSize > 1) refused.push(() => format.unpack(bytes, 0, values, 0, blockSize - 1));
    for (const call of refused) expect(call).toThrow(ShapeError);
  });
});

describe('what the formats do with numbers that are not finite', () => {
  test('f32, f16 and bf16 keep them', () => {
    const x = Float32Array.of(NaN, Infinity, -Infinity, -0);
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      expect(firstBitDifference(roundTrip(dtype, FORMATS[dtype], x, 1)!, x)).toBe(-1);
    }
  });

  test('block formats refuse them by name', () => {
    for (const dtype of ['q8_0', 'q4_0'] as const) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const x = new Float32Array(64);
        x[40] = bad;
        expect(() => roundTrip(dtype, FORMATS[dtype], x, 0)).toThrow(UnsupportedError);
        expect(() => roundTrip(dtype, FORMATS[dtype], x, 0)).toThrow(`${dtype}: element 40 is ${bad}`);
      }
    }
  });
});

describe('mutants are caught', () => {
  test('a q8_0 that cuts instead of rounding', () => {
    const { pack, unpack, worstCaseError } = FORMATS.q8_0;
    const cut: Format['pack'] = (x, from, n, bytes, at) => {
      pack(x, from, n, bytes, at);
      // The nearest code moved one down wherever it is not 0.
      for (let i = at; i < at + rowBytes('q8_0', n); i++)
        if ((i - at) % 34 >= 2 && bytes[i]! > 0 && bytes[i]! < 128) bytes[i]!--;
    };
    expect(fc.check(keepsItsPromise('q8_0', { pack: cut, unpack, worstCaseError }), SEARCH).failed).toBe(true);
  });

  test('a q4_0 with its nibbles the other way round', () => {
    const { pack, unpack, worstCaseError } = FORMATS.q4_0;
    const swapped: Format['unpack'] = (bytes, at, out, to, n) => {
      const other = Uint8Array.from(bytes, (b, i) => ((i - at) % 18 >= 2 ? (b >> 4) | ((b & 15) << 4) : b));
      unpack(other, at, out, to, n);
    };
    expect(fc.check(keepsItsPromise('q4_0', { pack, unpack: swapped, worstCaseError }), SEARCH).failed).toBe(true);
  });

  test('a bound of half the size', () => {
    for (const dtype of ['f16', 'bf16', 'q8_0', 'q4_0'] as const) {
      const { pack, unpack, worstCaseError } = FORMATS[dtype];
      const tight = { pack, unpack, worstCaseError: (amax: number) => worstCaseError(amax) / 2 };
      expect(fc.check(keepsItsPromise(dtype, tight), SEARCH).failed, dtype).toBe(true);
    }
  });
});
