import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { ShapeError, UnsupportedError } from '../../src/core/errors.ts';
import { GGML_TYPES } from '../../src/load/gguf_types.ts';
import { type Format, FORMATS as TABLE } from '../../src/quant/formats.ts';
import { IQ4_VALUES } from '../../src/quant/iq4_values.ts';
import { firstBitDifference } from '../support/bits.ts';
import { testRandom } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

const FORMATS: Readonly<Record<DType, Format>> = TABLE;
const NAMES = Object.keys(FORMATS) as DType[];
const BLOCK_FORMATS = NAMES.filter((name) => FORMATS[name].blockSize > 1);
const CANARY = 0xa5;

/** A format that can be packed, for tests and mutants. */
type Packable = Format & { readonly pack: NonNullable<Format['pack']> };
const isPackable = (format: Format): format is Packable => format.pack !== undefined;

/** pack then unpack at skewed places; null when something beyond its part was written. */
function roundTrip({ blockSize, blockBytes, pack, unpack }: Packable, x: Float32Array, skew: number) {
  const n = x.length;
  const bytes = new Uint8Array((n / blockSize) * blockBytes + 2 * skew).fill(CANARY);
  pack(Float32Array.from([...Array(skew).fill(1e30), ...x]), skew, n, bytes, skew);
  const out = new Float32Array(n + 2 * skew).fill(CANARY);
  unpack(bytes, skew, out, skew, n);
  const untouched =
    [...bytes.subarray(0, skew), ...bytes.subarray(bytes.length - skew)].every((b) => b === CANARY) &&
    [...out.subarray(0, skew), ...out.subarray(out.length - skew)].every((v) => v === CANARY);
  return untouched ? out.slice(skew, skew + n) : null;
}

test('every type of ggml but integers and f64, with the sizes that the reader knows', () => {
  const types = [...GGML_TYPES.values()].filter(({ name }) => !/^i\d+$|^f64$/.test(name));
  const sizes = types.map(({ name, blockSize, blockBytes }) => [name, blockSize, blockBytes]);
  const known = NAMES.map((name) => [name, FORMATS[name].blockSize, FORMATS[name].blockBytes]);
  expect(known.toSorted()).toEqual(sizes.toSorted());
});

describe.each(NAMES)('%s', (name) => {
  const format = FORMATS[name];
  const { blockSize, blockBytes, unpack, pack } = format;
  const values = new Float32Array(blockSize);
  const bytes = new Uint8Array(blockBytes);

  test('short buffers, odd places and part blocks are refused', () => {
    const refused: (() => void)[] = [
      () => unpack(bytes.subarray(1), 0, values, 0, blockSize),
      () => unpack(bytes, 1, values, 0, blockSize),
      () => unpack(bytes, -1, values, 0, blockSize),
      () => unpack(bytes, 0, values, 1, blockSize),
      () => unpack(bytes, 0, values, 0, NaN),
      () => unpack(bytes, 0, values, 0, -blockSize),
    ];
    if (pack !== undefined) {
      refused.push(
        () => pack(values, 1, blockSize, bytes, 0),
        () => pack(values, 0, blockSize, bytes, 1),
        () => pack(values, 0.5, blockSize, bytes, 0),
        () => pack(values, 0, 2 * blockSize, bytes, 0),
      );
    }
    if (blockSize > 1) {
      refused.push(() => unpack(bytes, 0, values, 0, blockSize - 1));
      if (pack !== undefined) refused.push(() => pack(values, 0, blockSize - 1, bytes, 0));
    }
    for (const call of refused) expect(call).toThrow(ShapeError);
  });

  test('blocks do not see each other, nor where they stand', () => {
    const random = testRandom(1);
    const row = Uint8Array.from({ length: 3 * blockBytes }, () => Math.floor(256 * random()));
    const whole = new Float32Array(3 * blockSize);
    unpack(row, 0, whole, 0, whole.length);
    const out = new Float32Array(blockSize + 3);
    const skewed = new Uint8Array(blockBytes + 5);
    for (const block of [2, 0, 1]) {
      skewed.set(row.subarray(block * blockBytes, (block + 1) * blockBytes), 5);
      unpack(skewed, 5, out, 3, blockSize);
      expect(firstBitDifference(out.subarray(3), whole.subarray(block * blockSize, (block + 1) * blockSize))).toBe(-1);
    }
  });
});

describe('numbers that are not finite', () => {
  test.each(BLOCK_FORMATS.filter((name) => isPackable(FORMATS[name])))('%s refuses them by name', (name) => {
    const { blockSize, blockBytes, pack } = FORMATS[name] as Packable;
    for (const bad of [NaN, Infinity, -Infinity]) {
      const x = new Float32Array(2 * blockSize);
      x[blockSize + 7] = bad;
      const call = () => pack(x, 0, x.length, new Uint8Array(2 * blockBytes), 0);
      expect(call).toThrow(UnsupportedError);
      expect(call).toThrow(`${name}: element ${blockSize + 7} is ${bad}`);
    }
  });
});

/** Bits of a block that no value depends on, [first byte, byte after the last, mask]. */
const UNREAD: Partial<Record<DType, readonly [number, number, number]>> = {
  q8_1: [2, 4, 0xff], // the sum of the block
  q8_k: [260, 292, 0xff], // the sums of its sixteens
  nvfp4: [0, 4, 0x80], // the sign of a scale that has none; 0x7f and 0xff differ, and are not tried
};

/** Enough blocks that also the lowest bit of four base 3 digits, which matters in one of four or so, is seen. */
const TRIES = 64;

/** Bits of a block whose flip never changes a value, as byte * 8 + bit. */
function bitsWithoutEffect({ blockSize, blockBytes, unpack }: Format): number[] {
  const random = testRandom(7);
  const blocks = Array.from({ length: TRIES }, () =>
    // 1..126: keeps scales of any kind from being 0, NaN or infinite, whichever byte they are in.
    Uint8Array.from({ length: blockBytes }, () => 1 + Math.floor(120 * random())),
  );
  const before = new Float32Array(blockSize);
  const after = new Float32Array(blockSize);
  const without: number[] = [];
  for (let bit = 0; bit < 8 * blockBytes; bit++) {
    const seen = blocks.some((block) => {
      unpack(block, 0, before, 0, blockSize);
      block[bit >> 3]! ^= 1 << (bit & 7);
      unpack(block, 0, after, 0, blockSize);
      block[bit >> 3]! ^= 1 << (bit & 7);
      return firstBitDifference(before, after) !== -1;
    });
    if (!seen) without.push(bit);
  }
  return without;
}

describe('every bit of a block is read', () => {
  test.each(NAMES)('%s', (name) => {
    const [from, to, mask] = UNREAD[name] ?? [0, 0, 0];
    const unread: number[] = [];
    for (let bit = 8 * from; bit < 8 * to; bit++) if ((mask >>> (bit & 7)) & 1) unread.push(bit);
    expect(bitsWithoutEffect(FORMATS[name])).toEqual(unread);
  });

  test('mutant: a q4_k that takes six bits of a scale from the first byte only is caught', () => {
    const { unpack, ...sizes } = TABLE.q4_k;
    const deaf: Format['unpack'] = (bytes, at, out, to, n) => {
      const masked = bytes.slice();
      masked[at + 4]! &= 0x3f;
      unpack(masked, at, out, to, n);
    };
    expect(bitsWithoutEffect({ ...sizes, unpack: deaf })).toEqual([8 * 4 + 6, 8 * 4 + 7]);
  });
});

/**
 * Rows that a format can hold exactly, as [step, codes]: x = step * one of the codes, the first of which is in every run of
 * `every` elements. The quantizer must find them.
 */
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const EXACT: Partial<Record<DType, { step: number; codes: number[]; with: number[]; every: number }>> = {
  q1_0: { step: 0.5, codes: [-1, 1], with: [], every: 128 },
  q2_0: { step: 0.5, codes: [-1, 0, 1], with: [1], every: 64 },
  q4_0: { step: 0.5, codes: range(-8, 7), with: [-8], every: 32 },
  q4_1: { step: 2, codes: range(3, 18), with: [3, 18], every: 32 },
  q5_0: { step: 0.5, codes: range(-16, 15), with: [-16], every: 32 },
  q5_1: { step: 2, codes: range(3, 34), with: [3, 34], every: 32 },
  q8_0: { step: 0.25, codes: range(-127, 127), with: [127], every: 32 },
  q8_1: { step: 0.25, codes: range(-127, 127), with: [127], every: 32 },
  // The largest sub-block scale is 15, 32, 63 or 128 steps of d: so d is 1 or -1 here. Without codes that pin it down, a
  // search may find another grid that holds all of a run as well.
  q2_k: { step: 7.5, codes: [-1, 1, 3, 5], with: [-1, 1, 3, 5], every: 16 },
  q3_k: { step: 32, codes: range(-4, 3), with: [-4, 3], every: 16 },
  q4_k: { step: 63, codes: range(-8, 7), with: [-8, -7, 7], every: 32 },
  q5_k: { step: 63, codes: range(-16, 15), with: [-16, -15, 15], every: 32 },
  q6_k: { step: 128, codes: range(-32, 31), with: [-32, 30, 31], every: 16 },
  q8_k: { step: 1, codes: range(-127, 127), with: [-127], every: 256 },
  iq4_nl: { step: 0.25, codes: [...IQ4_VALUES], with: [-127, 1, 113], every: 32 },
  iq4_xs: { step: 32, codes: [...IQ4_VALUES], with: [-127, 1, 113], every: 32 },
  tq1_0: { step: 0.5, codes: [-1, 0, 1], with: [1], every: 256 },
  tq2_0: { step: 0.5, codes: [-1, 0, 1], with: [1], every: 256 },
  mxfp4: { step: 0.25, codes: [0, 1, 2, 3, 4, 6, 8, 12, -1, -2, -3, -4, -6, -8, -12], with: [12], every: 32 },
  nvfp4: { step: 0.25, codes: [0, 1, 2, 3, 4, 6, 8, 12, -1, -2, -3, -4, -6, -8, -12], with: [12], every: 16 },
};

/** What the format can hold comes back, wherever in the buffers. */
const isExact = (name: DType, format: Packable) => {
  const { step, codes, with: needed, every } = EXACT[name]!;
  const run = fc
    .tuple(fc.array(fc.constantFrom(...codes), { minLength: every, maxLength: every }), fc.nat(every - 1))
    .map(([run, at]) => {
      needed.forEach((code, i) => {
        run[(at + i) % every] = code;
      });
      return run.map((code) => step * code);
    });
  const nRuns = (2 * format.blockSize) / every;
  return fc.property(fc.array(run, { minLength: nRuns, maxLength: nRuns }), fc.nat(3), (runs, skew) => {
    const x = Float32Array.from(runs.flat());
    const back = roundTrip(format, x, skew);
    return back?.every((v, i) => v === x[i]) === true; // 0 and -0 are one
  });
};

describe('what a format can hold exactly comes back', () => {
  const packable = BLOCK_FORMATS.filter((name) => isPackable(FORMATS[name]));
  test('all block formats that can be packed are here', () => {
    expect(Object.keys(EXACT).toSorted()).toEqual(packable.toSorted());
  });

  test.each(packable)('%s', (name) => {
    fc.assert(isExact(name, FORMATS[name] as Packable), { numRuns: 50 });
  });

  test.each(packable)('%s, mutant: one bit of a block lost', (name) => {
    const format = FORMATS[name] as Packable;
    const lossy: Packable['pack'] = (x, from, n, bytes, at) => {
      format.pack(x, from, n, bytes, at);
      bytes[at + format.blockBytes - 3]! &= 0xfe;
      bytes[at + 5]! &= 0xfe;
    };
    expect(fc.check(isExact(name, { ...format, pack: lossy }), SEARCH).failed).toBe(true);
  });
});

/** One block at one scale 2^e: zeros, equals, ties, extremes, a lone large element. */
const blockAt = (size: number) =>
  fc.integer({ min: -149, max: 20 }).chain((e) =>
    fc
      .array(
        fc.oneof(
          fc.float({ min: -1, max: 1, noNaN: true }),
          fc.constantFrom(0, -0, 1, -1, 0.5, -0.5),
          fc.integer({ min: -127, max: 127 }).map((c) => c / 127),
        ),
        { minLength: size, maxLength: size },
      )
      .chain((xs) => fc.boolean().map((isLone) => (isLone ? xs.map((x, i) => (i === 5 ? 1 : x / 512)) : xs)))
      .map((xs) => Float32Array.from(xs, (x) => x * 2 ** e)),
  );

/** Every element comes back within the format's worst-case error for its block. */
const keepsItsPromise = (format: Packable, worstCaseError: (amax: number) => number) =>
  fc.property(blockAt(format.blockSize), fc.nat(3), (x, skew) => {
    const back = roundTrip(format, x, skew);
    const amax = x.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    const bound = worstCaseError(amax);
    return bound === Infinity || back?.every((v, i) => Math.abs(v - x[i]!) <= bound) === true;
  });

describe('worst-case errors', () => {
  const bounded = BLOCK_FORMATS.filter((name) => FORMATS[name].worstCaseError !== undefined);

  test.each(bounded)('%s keeps its bound, and half of it is too small', (name) => {
    const format = FORMATS[name] as Packable;
    const bound = format.worstCaseError!;
    fc.assert(keepsItsPromise(format, bound), { numRuns: 300 });
    const half = keepsItsPromise(format, (amax) => bound(amax) / 2);
    expect(fc.check(half, SEARCH).failed).toBe(true);
  });

  test('formats whose scales a search finds have none', () => {
    const unbounded = BLOCK_FORMATS.filter((name) => isPackable(FORMATS[name]) && !bounded.includes(name));
    expect(unbounded.toSorted()).toEqual(['iq4_nl', 'iq4_xs', 'q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k']);
  });

  test('more bits are nearer: normal weights, root mean square error', () => {
    const random = testRandom(3);
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const x = Float32Array.from({ length: 16 * 256 }, normal);
    const rms = (name: DType): number => {
      const back = roundTrip(FORMATS[name] as Packable, x, 0)!;
      return Math.sqrt(back.reduce((sum, v, i) => sum + (v - x[i]!) ** 2, 0) / x.length);
    };
    for (const ladder of [
      ['q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k', 'q8_k'],
      ['q1_0', 'q4_0', 'q5_0', 'q8_0'],
      ['q4_1', 'q5_1', 'q8_1'],
      ['mxfp4', 'nvfp4', 'iq4_xs', 'q5_k'],
    ] as const) {
      const errors = ladder.map(rms);
      expect(errors).toEqual(errors.toSorted((a, b) => b - a));
    }
  });
});
