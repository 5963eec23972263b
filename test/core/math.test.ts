import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { cos, erf, exp, log, pow, sin, tanh } from '../../src/core/math.ts';
import {
  type BigReal,
  bigCos,
  bigErf,
  bigExp,
  bigLog,
  bigOf,
  bigPow,
  bigSin,
  bigTanh,
  ulpError,
} from '../support/big_math.ts';
import { f64Around, testRandom } from '../support/floats.ts';

type Reference = (x: number) => BigReal | bigint;

/** Largest error over `inputs`, and where. NaN counts as the largest of all. */
function worst(f: (x: number) => number, reference: Reference, inputs: Iterable<number>): { ulp: number; at: number } {
  let found = { ulp: 0, at: NaN };
  for (const x of inputs) {
    const ulp = ulpError(f(x), reference(x));
    if (!(ulp <= found.ulp)) found = { ulp, at: x };
  }
  return found;
}

function uniform(seed: number, n: number, low: number, high: number): number[] {
  const random = testRandom(seed);
  return Array.from({ length: n }, () => low + (high - low) * random() + random() * 2 ** -40);
}

/** Both signs, magnitudes spread evenly over the exponents lowest..highest. */
function spread(seed: number, n: number, lowest: number, highest: number): number[] {
  const random = testRandom(seed);
  return Array.from({ length: n }, () => {
    const magnitude = (1 + random() + random() * 2 ** -32) * 2 ** Math.floor(lowest + random() * (highest - lowest));
    return random() < 0.5 ? -magnitude : magnitude;
  });
}

const positive = (xs: number[]): number[] => xs.map(Math.abs);

/** Each line: name, function, reference, promised ulp (src/core/math.ts), inputs. */
const CASES: [string, (x: number) => number, Reference, number, number[]][] = [
  [
    'exp',
    exp,
    (x) => bigExp(bigOf(x)),
    1,
    [
      ...uniform(1, 3000, -745, 709.78),
      ...uniform(2, 2000, -2, 2),
      ...spread(3, 500, -60, 9),
      ...[709.782712893384, -708.3964185322641, -745.1332191019411, -744, 0, Math.LN2 / 2, -Math.LN2 / 2, 1].flatMap(
        (x) =>
          f64Around(x, 3).filter(
            (v) => v <= 709.782712893384 && v >= -745.1332191019411 && (v === 0 || Math.abs(v) > 2 ** -300),
          ),
      ),
    ],
  ],
  [
    'log',
    log,
    bigLog,
    0.51,
    [
      ...positive(spread(4, 3000, -1022, 1023)),
      ...uniform(5, 3000, 0.5, 2),
      ...[1, Math.SQRT1_2, Math.SQRT2, 0.5, 2, 2 ** -960, 2 ** 960, 2 ** -1022, Math.E].flatMap((x) => f64Around(x, 5)),
      ...[5e-324, 1e-310, 2 ** -1022 - 5e-324, Number.MAX_VALUE],
    ].filter((x) => x !== 1),
  ],
  ['sin', sin, (x) => bigSin(bigOf(x)), 1, angles()],
  ['cos', cos, (x) => bigCos(bigOf(x)), 1, angles()],
  [
    'tanh',
    tanh,
    (x) => bigTanh(bigOf(x)),
    1.5,
    [
      ...uniform(6, 3000, -1.5, 1.5),
      ...uniform(7, 1000, -25, 25),
      ...spread(8, 500, -60, 4),
      ...[1, 19.06, 22].flatMap((x) => f64Around(x, 3)),
    ],
  ],
  [
    'erf',
    erf,
    (x) => bigErf(bigOf(x)),
    2,
    [
      ...uniform(9, 3000, -1.5, 1.5),
      ...uniform(10, 500, -6, 6),
      ...spread(11, 500, -60, 2),
      ...[1, 5.9, 6].flatMap((x) => f64Around(x, 3)),
    ],
  ],
];

/** Angles of RoPE and beyond, up to 2^31, and the f64 nearest to multiples of pi / 2, where digits cancel. */
function angles(): number[] {
  const random = testRandom(12);
  const nearMultiples = Array.from({ length: 1500 }, () => {
    const n = Math.floor(2 ** (random() * 30)) + 1;
    return n * (Math.PI / 2);
  });
  return [
    ...uniform(13, 2000, -10, 10),
    ...spread(14, 3000, -60, 30),
    ...uniform(15, 1000, 0, 1e7),
    ...uniform(16, 1000, 0, 2 ** 20 * 2 * Math.PI),
    ...nearMultiples.filter((x) => x <= 2 ** 31),
    ...[Math.PI / 4, Math.PI / 2, Math.PI, 2 ** 20 * 2 * Math.PI].flatMap((x) => f64Around(x, 5)),
    ...[2 ** 31, 1048575, 131071, 2147483647],
    // The f64 below 2^31 that come closest to a multiple of pi / 2, by the continued fractions of 2^(e - 51) / pi.
    ...[45.553093477052, 91.106186954104, 14461176.67027838, 28922353.34055676, 57844706.68111352],
    // Integers near multiples of pi: numerators of its convergents.
    ...[
      3, 22, 333, 355, 103993, 104348, 208341, 312689, 833719, 1146408, 4272943, 5419351, 80143857, 165707065,
      245850922, 411557987,
    ],
  ];
}

describe('f64 functions against 400-bit integer arithmetic', () => {
  for (const [name, f, reference, bound, inputs] of CASES) {
    test(`${name}: at most ${bound} ulp`, () => {
      const { ulp, at } = worst(f, reference, inputs);
      expect(ulp <= bound, `${name}(${at}) is ${ulp} ulp off`).toBe(true);
    });
  }

  test('pow: at most 1 ulp for every exponent in range, RoPE bases included', () => {
    const random = testRandom(17);
    const inputs: [number, number][] = [];
    for (const base of [1e4, 5e5, 1e6, 1e7]) {
      for (const dim of [32, 64, 80, 96, 128, 256]) {
        for (let i = 0; i < dim; i += 2) inputs.push([base, -i / dim]);
      }
    }
    for (const x of positive(spread(18, 3000, -1022, 1023))) {
      const limit = 700 / Math.abs(Math.log(x));
      inputs.push([x, (2 * random() - 1) * limit]);
    }
    for (const x of uniform(19, 500, 0.5, 2)) inputs.push([x, (random() - 0.5) * 1000]);
    inputs.push(
      [1 + 2 ** -52, 2 ** 60],
      [1 - 2 ** -53, 2 ** 60],
      [5e-324, 0.5],
      [Number.MAX_VALUE, -1],
      [2, -1074],
      [10, -310],
    );

    let found = { ulp: 0, at: [NaN, NaN] };
    for (const [x, y] of inputs) {
      const ulp = ulpError(pow(x, y), bigPow(x, y));
      if (!(ulp <= found.ulp)) found = { ulp, at: [x, y] };
    }
    expect(found.ulp <= 1, `pow(${found.at}) is ${found.ulp} ulp off`).toBe(true);
  });

  test('the measure can fail: one part in 2^51 too much is caught, and so is NaN', () => {
    const inputs = uniform(20, 100, 0.1, 10);
    expect(
      worst(
        (x) => exp(x) * (1 + 2 ** -51),
        (x) => bigExp(bigOf(x)),
        inputs,
      ).ulp <= 1,
    ).toBe(false);
    expect(
      worst(
        () => NaN,
        (x) => bigSin(bigOf(x)),
        inputs,
      ).ulp <= 1,
    ).toBe(false);
    // An angle reduced with the 53 bits of Math.PI.
    expect(
      worst(
        (x) => sin(x % (2 * Math.PI)),
        (x) => bigSin(bigOf(x)),
        angles(),
      ).ulp <= 1,
    ).toBe(false);
  });
});

describe('f64 functions at special values', () => {
  test('exp', () => {
    expect([exp(NaN), exp(Infinity), exp(-Infinity), exp(0), exp(-0)]).toEqual([NaN, Infinity, 0, 1, 1]);
    expect([exp(709.7827128933841), exp(1e308), exp(-745.1332191019412), exp(-1e308)]).toEqual([
      Infinity,
      Infinity,
      0,
      0,
    ]);
    expect([exp(5e-324), exp(-5e-324), exp(-745.1332191019411)]).toEqual([1, 1, 5e-324]);
  });

  test('log', () => {
    expect([log(NaN), log(-1), log(-Infinity), log(0), log(-0)]).toEqual([NaN, NaN, NaN, -Infinity, -Infinity]);
    expect([log(Infinity), log(1)]).toEqual([Infinity, 0]);
  });

  test('sin and cos: odd and even, NaN stays, too large an angle is refused', () => {
    expect([sin(0), sin(-0), cos(0), cos(-0)]).toEqual([0, -0, 1, 1]);
    expect([sin(NaN), sin(Infinity), cos(-Infinity), cos(NaN)]).toEqual([NaN, NaN, NaN, NaN]);
    expect(sin(5e-324)).toBe(5e-324);
    for (const x of angles()) {
      expect(Object.is(sin(-x), -sin(x)) && Object.is(cos(-x), cos(x)), `at ${x}`).toBe(true);
    }
    expect(() => sin(2 ** 31 + 1)).toThrow(ConfigError);
    expect(() => cos(-1e300)).toThrow(ConfigError);
  });

  test('tanh and erf: odd, +-1 at the ends', () => {
    for (const f of [tanh, erf]) {
      expect([f(NaN), f(Infinity), f(-Infinity), f(0), f(-0)]).toEqual([NaN, 1, -1, 0, -0]);
      expect([f(100), f(-1e308)]).toEqual([1, -1]);
      for (const x of spread(21, 200, -1070, 5)) expect(Object.is(f(-x), -f(x)), `at ${x}`).toBe(true);
    }
    expect([tanh(5e-324), tanh(1e-200)]).toEqual([5e-324, 1e-200]);
  });

  test('pow follows ECMAScript', () => {
    const values = [
      NaN,
      0,
      -0,
      1,
      -1,
      Infinity,
      -Infinity,
      0.5,
      -0.5,
      2,
      -2,
      3,
      -3,
      5e-324,
      1e308,
      -1e308,
      2 ** 53,
      2 ** 53 - 1,
    ];
    for (const x of values) {
      for (const y of values) {
        const expected = x ** y;
        // Where the result is a finite number that has to be rounded, the ulp test above speaks.
        const isSpecial = !Number.isFinite(expected) || expected === 0 || Math.abs(expected) === 1;
        if (isSpecial) expect(pow(x, y), `pow(${x}, ${y})`).toBe(expected);
      }
    }
  });
});
