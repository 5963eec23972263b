import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.ts';
import { type Tensor, tensor } from '../../src/core/tensor.ts';
import { attendMix, attendMix64 } from '../../src/ops/attend_mix.ts';
import { attendScores, attendScores64 } from '../../src/ops/attend_scores.ts';
import { softmax, softmax64 } from '../../src/ops/softmax.ts';
import { allUpTo, seenBy, someSee, type Visible, visibleAround, visibleAt } from '../../src/ops/visible.ts';
import { sees, visibleOf } from '../support/attend_cases.ts';
import { firstBitDifference } from '../support/bits.ts';
import { type FloatSource, floatSource, hardFloats } from '../support/hard_floats.ts';
import { assertSameBits } from '../support/kernel_property.ts';
import { SEARCH } from '../support/mutant_search.ts';

/** A row of attention sees its sinks and its window, and reads no other positions: they may hold anything. */

const cases = fc.record({
  source: floatSource,
  nKvHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  headDim: fc.integer({ min: 1, max: 5 }),
  lengths: fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }),
  sinks: fc.nat(4),
  starts: fc.array(fc.nat(9), { maxLength: 4 }),
  spare: fc.integer({ min: 0, max: 4 }),
});

type Case = typeof cases extends fc.Arbitrary<infer C> ? C : never;
type Tier = 'f32' | 'f64';

/** Any op of one tier, from f32 inputs to plain numbers. */
interface Ops {
  scores(q: Tensor, k: Tensor, visible: Visible): ArrayLike<number>;
  softmax(x: Tensor, visible: Visible): ArrayLike<number>;
  mix(p: Tensor, v: Tensor, visible: Visible): ArrayLike<number>;
}

const wide = (x: Tensor): Tensor<Float64Array> => ({ shape: x.shape, data: Float64Array.from(x.data) });

const TIERS: Readonly<Record<Tier, Ops>> = {
  f32: {
    scores: (q, k, visible) => attendScores(q, k, visible, 0.5).data,
    softmax: (x, visible) => softmax(x, visible).data,
    mix: (p, v, visible) => attendMix(p, v, visible).data,
  },
  f64: {
    scores: (q, k, visible) => attendScores64(wide(q), wide(k), visible, 0.5).data,
    softmax: (x, visible) => softmax64(wide(x), visible).data,
    mix: (p, v, visible) => attendMix64(wide(p), wide(v), visible).data,
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
    visible: visibleOf(c),
    q: draw([nRows, nHeads, c.headDim], 1),
    rows: draw([nPositions, c.nKvHeads, c.headDim], 2),
    scores: draw([nHeads, nRows, nPositions], 3),
    nPositions,
    nRows,
  };
}

/** `x` [nHeads, T, S] with NaN where row t sees nothing. */
function blindedScores(x: Tensor, visible: Visible): Tensor {
  const [, nRows, nPositions] = x.shape as [number, number, number];
  const data = x.data.map((v, i) => (sees(visible, Math.floor(i / nPositions) % nRows, i % nPositions) ? v : NaN));
  return { shape: x.shape, data };
}

/** `rows` [S, nKvHeads, headDim] with NaN at positions that no row sees. */
function blindedRows(rows: Tensor, visible: Visible): Tensor {
  const width = rows.shape[1]! * rows.shape[2]!;
  const isSeen = (s: number): boolean => Array.from(visible.lengths).some((_, t) => sees(visible, t, s));
  return { shape: rows.shape, data: rows.data.map((v, i) => (isSeen(Math.floor(i / width)) ? v : NaN)) };
}

function readOnlyWhatIsSeen(ops: Ops) {
  return fc.property(cases, (c) => {
    const { visible, q, rows, scores } = setUp(c);
    const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => firstBitDifference(a, b) === -1;
    return (
      same(ops.softmax(scores, visible), ops.softmax(blindedScores(scores, visible), visible)) &&
      same(
        ops.mix(scores, rows, visible),
        ops.mix(blindedScores(scores, visible), blindedRows(rows, visible), visible),
      ) &&
      same(ops.scores(q, rows, visible), ops.scores(q, blindedRows(rows, visible), visible))
    );
  });
}

describe.each(['f32', 'f64'] as const)('%s', (tier) => {
  const ops = TIERS[tier];

  test('NaN at positions that are not seen changes no bit', () => fc.assert(readOnlyWhatIsSeen(ops)));

  test('and they give 0', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { visible, q, rows, scores, nPositions, nRows } = setUp(c);
        for (const y of [ops.softmax(scores, visible), ops.scores(q, rows, visible)]) {
          for (let i = 0; i < y.length; i++) {
            const t = Math.floor(i / nPositions) % nRows;
            if (!sees(visible, t, i % nPositions)) expect(y[i]).toBe(0);
          }
        }
      }),
    );
  });

  test('a row that sees nothing mixes to 0', () => {
    const y = ops.mix(
      tensor([1, 1, 2], Float32Array.of(NaN, NaN)),
      tensor([2, 1, 1], Float32Array.of(1, 2)),
      allUpTo(Int32Array.of(0)),
    );
    expect(Array.from(y)).toEqual([0]);
  });

  test('each head reads the kv head of its group', () => {
    // 4 heads, 2 kv heads: heads 0 and 1 read kv head 0.
    const p = tensor([4, 1, 1], Float32Array.of(1, 1, 1, 1));
    const v = tensor([1, 2, 1], Float32Array.of(5, 7));
    expect(Array.from(ops.mix(p, v, allUpTo(Int32Array.of(1))))).toEqual([5, 5, 7, 7]);
    const q = tensor([1, 4, 1], Float32Array.of(2, 4, 6, 8));
    expect(Array.from(ops.scores(q, v, allUpTo(Int32Array.of(1))))).toEqual([5, 10, 21, 28]); // times 0.5
  });

  const readsAll = ({ lengths }: Visible, n: number): Visible => allUpTo(lengths.map(() => n));
  const oneMore = (v: Visible, n: number): Visible => ({ ...v, lengths: v.lengths.map((m) => Math.min(m + 1, n)) });
  const noWindow = ({ lengths }: Visible): Visible => allUpTo(lengths);
  const mutants: Record<string, Ops> = {
    'softmax over all positions': { ...ops, softmax: (x, visible) => ops.softmax(x, readsAll(visible, x.shape[2]!)) },
    'mix over all positions': { ...ops, mix: (p, v, visible) => ops.mix(p, v, readsAll(visible, v.shape[0]!)) },
    'scores of all positions': { ...ops, scores: (q, k, visible) => ops.scores(q, k, readsAll(visible, k.shape[0]!)) },
    'one position too many': { ...ops, softmax: (x, visible) => ops.softmax(x, oneMore(visible, x.shape[2]!)) },
    'softmax without a window': { ...ops, softmax: (x, visible) => ops.softmax(x, noWindow(visible)) },
    'mix without a window': { ...ops, mix: (p, v, visible) => ops.mix(p, v, noWindow(visible)) },
  };
  test.each(Object.entries(mutants))('a mutant is caught: %s', (_what, mutant) => {
    expect(fc.check(readOnlyWhatIsSeen(mutant), SEARCH).failed).toBe(true);
  });
});

test('with a window, each row sees the sinks and the last positions, in both tiers', () => {
  // 1 head, headDim 1: scores are the keys, values are powers of ten, so a sum shows what was seen.
  const values = tensor(
    [7, 1, 1],
    Float32Array.from({ length: 7 }, (_, s) => 10 ** s),
  );
  const ones = tensor([1, 3, 7], new Float32Array(21).fill(1));
  const visible = visibleAt(Int32Array.of(2, 3, 6), { size: 2, sinks: 1 }, 0);
  for (const { mix } of Object.values(TIERS)) {
    expect(Array.from(mix(ones, values, visible))).toEqual([111, 1101, 1100001]);
  }
  expect(Array.from(visible.lengths, (_, t) => seenBy(visible, t))).toEqual([
    [[0, 3]],
    [
      [0, 1],
      [2, 4],
    ],
    [
      [0, 1],
      [5, 7],
    ],
  ]);
});

/** The definition, position by position: what the narrower window shows, and the sinks, where that is the cache's. */
const windowCases = fc.record({
  first: fc.nat(30),
  count: fc.integer({ min: 1, max: 6 }),
  cacheWindow: fc.option(fc.record({ size: fc.integer({ min: 1, max: 30 }), sinks: fc.nat(5) })),
  layerWindow: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  from: fc.nat(40),
  n: fc.integer({ min: 1, max: 16 }),
});
const seesAsDefined = (at: typeof visibleAt) =>
  fc.property(windowCases, ({ first, count, cacheWindow, layerWindow, from, n }) => {
    const positions = Int32Array.from({ length: count }, (_, t) => first + t);
    const visible = at(positions, cacheWindow, 0, layerWindow);
    const size = Math.min(cacheWindow?.size ?? Infinity, layerWindow ?? Infinity);
    const sinks = cacheWindow !== null && cacheWindow.size < (layerWindow ?? Infinity) ? cacheWindow.sinks : 0;
    const isSeen = (t: number, s: number) => s <= positions[t]! && (s < sinks || s > positions[t]! - size);
    for (let t = 0; t < count; t++) {
      for (let s = 0; s < first + count; s++) expect(sees(visible, t, s), `row ${t}, ${s}`).toBe(isSeen(t, s));
    }
    const some = Array.from({ length: n }, (_, i) => from + i).some((s) => positions.some((_, t) => isSeen(t, s)));
    expect(someSee(visible, from, from + n)).toBe(some);
  });

test('with a window of the layer, what it and the cache leave', () => fc.assert(seesAsDefined(visibleAt)));
test('and a layer that forgets its window, hides the sinks, or sees them behind its own window, is caught', () => {
  const forgets: typeof visibleAt = (positions, window, dropped) => visibleAt(positions, window, dropped);
  const hides: typeof visibleAt = (positions, window, dropped, layerWindow) => {
    const visible = visibleAt(positions, window, dropped, layerWindow);
    return layerWindow === undefined ? visible : { ...visible, sinks: 0 };
  };
  const keeps: typeof visibleAt = (positions, window, dropped, layerWindow = Infinity) => {
    const visible = visibleAt(positions, window, dropped, layerWindow);
    const sinks = window?.sinks ?? 0;
    return { ...visible, sinks, starts: visible.starts.map((start) => Math.max(sinks, start)) };
  };
  for (const mutant of [forgets, hides, keeps]) expect(fc.check(seesAsDefined(mutant), SEARCH).failed).toBe(true);
});

test('rows that see both sides see as far on either', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.option(fc.integer({ min: 1, max: 25 }), { nil: undefined }),
      (n, w) => {
        const visible = visibleAround(n, w);
        for (let t = 0; t < n; t++) {
          for (let s = 0; s < n; s++) expect(sees(visible, t, s)).toBe(Math.abs(t - s) < (w ?? Infinity));
        }
      },
    ),
  );
});

test('rows that were dropped in whole blocks change no bit of what is left', () => {
  fc.assert(
    fc.property(
      floatSource,
      fc.nat(30),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(20),
      (source, position, size, sinks) => {
        const kept = 16 * Math.ceil(sinks / 16);
        const first = kept + position; // the oldest of three rows, and what it sees behind the sinks
        const positions = Int32Array.of(first + size, first + size + 1, first + size + 2);
        const window = { size, sinks };
        const dropped = 16 * Math.floor((first + 1 - kept) / 16);
        const whole = visibleAt(positions, window, 0);
        const left = visibleAt(positions, window, dropped);
        const nPositions = positions[2]! + 1;
        const keep = (n: number) => (_: number, i: number) => i % nPositions < n || i % nPositions >= n + dropped;
        const x = tensor([1, 3, nPositions], hardFloats(source, 3 * nPositions));
        const v = tensor([nPositions, 1, 1], hardFloats(source, nPositions, 2));
        const xLeft = tensor([1, 3, nPositions - dropped], x.data.filter(keep(kept)));
        const vLeft = tensor([nPositions - dropped, 1, 1], v.data.filter(keep(kept)));
        const p = softmax(x, whole);
        const pLeft = softmax(xLeft, left);
        assertSameBits('probs', pLeft.data, p.data.filter(keep(kept)));
        assertSameBits('mix', attendMix(pLeft, vLeft, left).data, attendMix(p, v, whole).data);
      },
    ),
  );
});

describe('softmax', () => {
  const one = (...x: number[]): number[] =>
    Array.from(softmax(tensor([1, 1, x.length], Float32Array.from(x)), allUpTo(Int32Array.of(x.length))).data);

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
  const one = allUpTo(Int32Array.of(1));
  const WRONG: [what: string, call: () => unknown, message: string][] = [
    ['scores: rows', () => attendScores(q, k, allUpTo(Int32Array.of(1, 1)), 1), 'q: axis 0 (T) is 1, expected 2'],
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
      () => attendScores(q, k, allUpTo(Int32Array.of(4)), 1),
      'attend: row 0 sees 4 positions, the cache holds 3',
    ],
    [
      'scores: negative length',
      () => attendScores(q, k, allUpTo(Int32Array.of(-1)), 1),
      'attend: row 0 sees -1 positions',
    ],
    ['softmax: starts', () => softmax(s, { ...one, starts: Int32Array.of(0, 0) }), 'attend: 1 rows have 2 starts'],
    ['softmax: sinks', () => softmax(s, { ...one, sinks: -1 }), 'attend: sinks is -1, must be 0 or more'],
    [
      'mix: a window that reaches into the sinks',
      () => attendMix(s, k, { ...one, sinks: 2, starts: Int32Array.of(1) }),
      'attend: row 0 starts at 1, before the 2 sinks end',
    ],
    ['softmax: rows', () => softmax(s, allUpTo(Int32Array.of(1, 1))), 'x: axis 1 (T) is 1, expected 2'],
    [
      'softmax: length',
      () => softmax(s, allUpTo(Int32Array.of(4))),
      'attend: row 0 sees 4 positions, the cache holds 3',
    ],
    [
      'softmax64: length',
      () => softmax64(wide(s), allUpTo(Int32Array.of(4))),
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
    [
      'mix: length',
      () => attendMix(s, k, allUpTo(Int32Array.of(4))),
      'attend: row 0 sees 4 positions, the cache holds 3',
    ],
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
  const p = softmax(x, allUpTo(Int32Array.of(1, 2, 3)));
  expect(Array.from(p.data, (v) => v > 0)).toEqual([true, false, false, true, true, false, true, true, true]);
});
