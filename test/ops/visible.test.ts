import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.ts';
import { type Tensor, tensor } from '../../src/core/tensor.ts';
import { attendMix, attendMix64 } from '../../src/ops/attend_mix.ts';
import { attendScores, attendScores64 } from '../../src/ops/attend_scores.ts';
import { softmax, softmax64 } from '../../src/ops/softmax.ts';
import { firstBitDifference } from '../support/bits.ts';
import { type FloatSource, floatSource, hardFloats } from '../support/hard_floats.ts';

/** A row of attention sees the positions below its length and reads no others: they may hold anything. */

const cases = fc.record({
  source: floatSource,
  nKvHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  headDim: fc.integer({ min: 1, max: 5 }),
  lengths: fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }),
  spare: fc.integer({ min: 0, max: 4 }),
});

type Case = typeof cases extends fc.Arbitrary<infer C> ? C : never;
type Tier = 'f32' | 'f64';

/** Any op of one tier, from f32 inputs to plain numbers. */
interface Ops {
  scores(q: Tensor, k: Tensor, lengths: Int32Array): ArrayLike<number>;
  softmax(x: Tensor, lengths: Int32Array): ArrayLike<number>;
  mix(p: Tensor, v: Tensor, lengths: Int32Array): ArrayLike<number>;
}

const wide = (x: Tensor): Tensor<Float64Array> => ({ shape: x.shape, data: Float64Array.from(x.data) });

const TIERS: Readonly<Record<Tier, Ops>> = {
  f32: {
    scores: (q, k, lengths) => attendScores(q, k, lengths, 0.5).data,
    softmax: (x, lengths) => softmax(x, lengths).data,
    mix: (p, v, lengths) => attendMix(p, v, lengths).data,
  },
  f64: {
    scores: (q, k, lengths) => attendScores64(wide(q), wide(k), lengths, 0.5).data,
    softmax: (x, lengths) => softmax64(wide(x), lengths).data,
    mix: (p, v, lengths) => attendMix64(wide(p), wide(v), lengths).data,
  },
};

function setUp(c: Case) {
  const nPositions = Math.max(...c.lengths) + c.spare;
  const nRows = c.lengths.length;
  const nHeads = c.nKvHeads * c.group;
  const draw = (shape: number[], salt: number): Tensor =>
    tensor(
      shape,
      hardFloats(
        c.source,
        shape.reduce((n, size) => n * size, 1),
        salt,
      ),
    );
  return {
    lengths: Int32Array.from(c.lengths),
    q: draw([nRows, nHeads, c.headDim], 1),
    rows: draw([nPositions, c.nKvHeads, c.headDim], 2),
    scores: draw([nHeads, nRows, nPositions], 3),
    nPositions,
    nRows,
  };
}

/** `x` [nHeads, T, S] with NaN where row t sees nothing. */
function blindedScores(x: Tensor, lengths: Int32Array): Tensor {
  const [, nRows, nPositions] = x.shape as [number, number, number];
  const data = x.data.map((v, i) => (i % nPositions < lengths[Math.floor(i / nPositions) % nRows]! ? v : NaN));
  return { shape: x.shape, data };
}

/** `rows` [S, nKvHeads, headDim] with NaN from position `length` on. */
function blindedRows(rows: Tensor, length: number): Tensor {
  const width = rows.shape[1]! * rows.shape[2]!;
  return { shape: rows.shape, data: rows.data.map((v, i) => (i < length * width ? v : NaN)) };
}

function readOnlyWhatIsSeen(ops: Ops) {
  return fc.property(cases, (c) => {
    const { lengths, q, rows, scores } = setUp(c);
    const longest = Math.max(...c.lengths);
    const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => firstBitDifference(a, b) === -1;
    return (
      same(ops.softmax(scores, lengths), ops.softmax(blindedScores(scores, lengths), lengths)) &&
      same(
        ops.mix(scores, rows, lengths),
        ops.mix(blindedScores(scores, lengths), blindedRows(rows, longest), lengths),
      ) &&
      same(ops.scores(q, rows, lengths), ops.scores(q, blindedRows(rows, longest), lengths))
    );
  });
}

describe.each(['f32', 'f64'] as const)('%s', (tier) => {
  const ops = TIERS[tier];

  test('NaN beyond the visible positions changes no bit', () => fc.assert(readOnlyWhatIsSeen(ops)));

  test('and positions beyond give 0', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { lengths, q, rows, scores, nPositions, nRows } = setUp(c);
        for (const y of [ops.softmax(scores, lengths), ops.scores(q, rows, lengths)]) {
          for (let i = 0; i < y.length; i++) {
            const t = Math.floor(i / nPositions) % nRows;
            if (i % nPositions >= lengths[t]!) expect(y[i]).toBe(0);
          }
        }
      }),
    );
  });

  test('a row that sees nothing mixes to 0', () => {
    const y = ops.mix(
      tensor([1, 1, 2], Float32Array.of(NaN, NaN)),
      tensor([2, 1, 1], Float32Array.of(1, 2)),
      Int32Array.of(0),
    );
    expect(Array.from(y)).toEqual([0]);
  });

  test('each head reads the kv head of its group', () => {
    // 4 heads, 2 kv heads: heads 0 and 1 read kv head 0.
    const p = tensor([4, 1, 1], Float32Array.of(1, 1, 1, 1));
    const v = tensor([1, 2, 1], Float32Array.of(5, 7));
    expect(Array.from(ops.mix(p, v, Int32Array.of(1)))).toEqual([5, 5, 7, 7]);
    const q = tensor([1, 4, 1], Float32Array.of(2, 4, 6, 8));
    expect(Array.from(ops.scores(q, v, Int32Array.of(1)))).toEqual([5, 10, 21, 28]); // times 0.5
  });

  const readsAll = (lengths: Int32Array, n: number): Int32Array => lengths.map(() => n);
  const mutants: Record<string, Ops> = {
    'softmax over all positions': { ...ops, softmax: (x, lengths) => ops.softmax(x, readsAll(lengths, x.shape[2]!)) },
    'mix over all positions': { ...ops, mix: (p, v, lengths) => ops.mix(p, v, readsAll(lengths, v.shape[0]!)) },
    'scores of all positions': { ...ops, scores: (q, k, lengths) => ops.scores(q, k, readsAll(lengths, k.shape[0]!)) },
    'one position too many': {
      ...ops,
      softmax: (x, lengths) =>
        ops.softmax(
          x,
          lengths.map((n) => Math.min(n + 1, x.shape[2]!)),
        ),
    },
  };
  test.each(Object.entries(mutants))('a mutant is caught: %s', (_what, mutant) => {
    expect(fc.check(readOnlyWhatIsSeen(mutant)).failed).toBe(true);
  });
});

describe('softmax', () => {
  const one = (...x: number[]): number[] =>
    Array.from(softmax(tensor([1, 1, x.length], Float32Array.from(x)), Int32Array.of(x.length)).data);

  test('known rows', () => {
    expect(one(3)).toEqual([1]);
    expect(one(3, 3)).toEqual([0.5, 0.5]);
    expect(one(0, -Infinity)).toEqual([1, 0]);
    expect(one(2 ** 127, -(2 ** 127))).toEqual([1, 0]); // the difference overflows to -Infinity
    expect(one(-1e30, -1e30, -1e30, -1e30)).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  test('NaN or +Infinity, and a row of -Infinity, make the whole row NaN', () => {
    for (const row of [one(1, NaN, 2), one(1, Infinity, 2), one(-Infinity, -Infinity)]) {
      expect(row.every(Number.isNaN)).toBe(true);
    }
  });
});

describe('what does not fit is a ShapeError', () => {
  const q = tensor([1, 2, 4], new Float32Array(8));
  const k = tensor([3, 2, 4], new Float32Array(24));
  const s = tensor([2, 1, 3], new Float32Array(6));
  const one = Int32Array.of(1);
  const WRONG: [what: string, call: () => unknown, message: string][] = [
    ['scores: rows', () => attendScores(q, k, Int32Array.of(1, 1), 1), 'q: axis 0 (T) is 1, expected 2'],
    [
      'scores: head size',
      () => attendScores(tensor([1, 2, 3], new Float32Array(6)), k, one, 1),
      'k: axis 2 (headDim) is 4, expected 3',
    ],
    [
      'scores: heads',
      () => attendScores(tensor([1, 3, 4], new Float32Array(12)), k, one, 1),
      'attend: nHeads 3 is not a multiple of nKvHeads 2',
    ],
    [
      'scores: length',
      () => attendScores(q, k, Int32Array.of(4), 1),
      'attend: row 0 sees 4 positions, the cache holds 3',
    ],
    ['scores: negative length', () => attendScores(q, k, Int32Array.of(-1), 1), 'attend: row 0 sees -1 positions'],
    ['softmax: rows', () => softmax(s, Int32Array.of(1, 1)), 'x: axis 1 (T) is 1, expected 2'],
    ['softmax: length', () => softmax(s, Int32Array.of(4)), 'attend: row 0 sees 4 positions, the cache holds 3'],
    [
      'softmax64: length',
      () => softmax64(wide(s), Int32Array.of(4)),
      'attend: row 0 sees 4 positions, the cache holds 3',
    ],
    [
      'mix: positions',
      () => attendMix(tensor([2, 1, 2], new Float32Array(4)), k, one),
      'v: axis 0 (S) is 3, expected 2',
    ],
    [
      'mix: heads',
      () => attendMix(tensor([3, 1, 3], new Float32Array(9)), k, one),
      'attend: nHeads 3 is not a multiple of nKvHeads 2',
    ],
    ['mix: length', () => attendMix(s, k, Int32Array.of(4)), 'attend: row 0 sees 4 positions, the cache holds 3'],
    [
      'mix: axes',
      () => attendMix(s, tensor([3, 8], new Float32Array(24)), one),
      'v: shape [3, 8] has 2 axes, expected 3',
    ],
  ];
  test.each(WRONG)('%s', (_what, call, message) => {
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(message);
  });
});

/** Kept out of the cases above: a seed whose rows are all plain, so that a failure is easy to read. */
test('a causal prompt: row t sees t + 1 positions', () => {
  const source: FloatSource = { seed: 1, kind: 'plain' };
  const x = tensor([1, 3, 3], hardFloats(source, 9));
  const p = softmax(x, Int32Array.of(1, 2, 3));
  expect(Array.from(p.data, (v) => v > 0)).toEqual([true, false, false, true, true, false, true, true, true]);
});
