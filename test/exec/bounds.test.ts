import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DTYPES } from '../../src/core/dtype.ts';
import { f16ToF32, f32ToF16 } from '../../src/core/half.ts';
import type { Tensor } from '../../src/core/tensor.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import type { OpSet } from '../../src/exec/interpret.ts';
import { NAIVE_OPS } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { Visible } from '../../src/ops/visible.ts';
import { CODED_DTYPES, type CodedDType } from '../../src/quant/codes.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { boundsOf, executorWith, randomReport } from '../support/bounds_report.ts';
import { batchOf } from '../support/executors.ts';
import { buildModel, type RandomModel, randomModels } from '../support/random_model.ts';
import { reserveBatch, type Scenario } from '../support/scenario.ts';

const { fround } = Math;
const RUNS = { numRuns: 20, seed: 3 };

test('every value of every op lies within its bound', () => {
  const { ops, firstOutside } = randomReport({}, RUNS);
  expect(firstOutside).toBeUndefined();
  for (const { op, worstRatio } of ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
});

test('also where passes have rewritten the graph; every op that computes is checked, in both activation forms', () => {
  const { ops, firstOutside } = randomReport({}, RUNS, optimize);
  expect(firstOutside).toBeUndefined();
  expect(ops.map((line) => line.op).sort()).toEqual(
    [
      'activations q8',
      'add',
      'attend_mix',
      'attend_scores',
      'embed',
      'linear',
      'linear q8',
      'mul',
      'rms_norm',
      'rope',
      'silu',
      'slice',
      'softmax',
      'take_rows',
    ].sort(),
  );
  for (const { op, nValues, worstRatio, worstError } of ops) {
    expect(nValues, op).toBeGreaterThan(0);
    const isMove = op === 'embed' || op === 'slice' || op === 'take_rows';
    expect(worstRatio > 0 && worstError > 0, `${op} has rounding errors`).toBe(!isMove);
  }
});

/** Replaces the elements of an op's result. */
function changed(y: Tensor, change: (v: number, i: number) => number): Tensor {
  return { shape: y.shape, data: y.data.map(change) };
}

const half = (v: number): number => f16ToF32(f32ToF16(v));

/** A linear whose plain loop ends after nIn terms and rounds its sum with `round`. */
function plainLinear(round: (v: number) => number, nDropped: number): OpSet<Float32Array>['linear'] {
  return (x, w, activations) => {
    const y = NAIVE_OPS.linear(x, w, activations); // the shape, and block formats with quantized activations
    if (activations === 'q8') return y;
    const [nRows, nIn] = x.shape as [number, number];
    const nOut = w.shape[0]!;
    const row = new Float32Array(nOut * nIn);
    FORMATS[w.dtype].unpack(w.bytes, 0, row, 0, row.length);
    for (let t = 0; t < nRows; t++) {
      for (let o = 0; o < nOut; o++) {
        let acc = 0;
        for (let k = 0; k < nIn - nDropped; k++) acc = round(acc + fround(x.data[t * nIn + k]! * row[o * nIn + k]!));
        y.data[t * nOut + o] = acc;
      }
    }
    return y;
  };
}

const oneLess = (visible: Visible): Visible => ({ ...visible, lengths: visible.lengths.map((n) => n - 1) });

/** The same with as many as `nZeroed` of each row's elements taken as 0. */
function zeroedEnd(x: Tensor, nZeroed: number): Tensor {
  const width = x.shape.at(-1)!;
  return changed(x, (v, i) => (i % width >= width - nZeroed ? 0 : v));
}

const MUTANTS: Readonly<Record<string, Partial<OpSet<Float32Array>>>> = {
  'linear: the sum in f16': { linear: plainLinear(half, 0) },
  'linear: the last term dropped': { linear: plainLinear(fround, 1) },
  'linear: the last block dropped, activations rounded': {
    linear: (x, w, activations) => NAIVE_OPS.linear(activations === 'q8' ? zeroedEnd(x, 32) : x, w, activations),
  },
  'linear: activations rounded where they should not be': {
    linear: (x, w, activations) =>
      NAIVE_OPS.linear(x, w, activations === 'f32' && (w.dtype === 'q8_0' || w.dtype === 'q4_0') ? 'q8' : activations),
  },
  'linear: activations kept where they should be rounded': { linear: (x, w) => NAIVE_OPS.linear(x, w, 'f32') },
  'rms_norm: another eps': { rmsNorm: (x, g, eps) => NAIVE_OPS.rmsNorm(x, g, 2 * eps) },
  'rms_norm: one element left out of the mean': {
    rmsNorm: (x, g, eps) => {
      const scale = Math.sqrt((x.shape[1]! - 1) / x.shape[1]!);
      return changed(NAIVE_OPS.rmsNorm(x, g, eps), (v) => v * scale);
    },
  },
  'rope: angles in f32': {
    ropeTable: (spec, nPositions) => {
      const halfDim = spec.frequencies.length;
      const angle = (i: number) => fround(Math.floor(i / halfDim) * fround(spec.frequencies[i % halfDim]!));
      const table = (f: (x: number) => number) =>
        Float32Array.from({ length: nPositions * halfDim }, (_, i) => f(angle(i)) * spec.magnitude);
      return { cos: table(Math.cos), sin: table(Math.sin), halfDim };
    },
  },
  'rope: turns the other way': {
    rope: (x, positions, { cos, sin, halfDim }, layout) =>
      NAIVE_OPS.rope(x, positions, { cos, sin: sin.map((v) => -v), halfDim }, layout),
  },
  'rope: the other layout': {
    rope: (x, positions, angles, layout) =>
      NAIVE_OPS.rope(x, positions, angles, layout === 'pairs' ? 'halves' : 'pairs'),
  },
  'attend_scores: the scale in f16': {
    attendScores: (q, k, visible, scale) => NAIVE_OPS.attendScores(q, k, visible, half(scale)),
  },
  'attend_scores: the last head dim dropped': {
    attendScores: (q, k, visible, scale) => NAIVE_OPS.attendScores(zeroedEnd(q, 1), k, visible, scale),
  },
  'attend_scores: a row sees one position too few': {
    attendScores: (q, k, visible, scale) => NAIVE_OPS.attendScores(q, k, oneLess(visible), scale),
  },
  'softmax: the denominator misses the last position': {
    softmax: (x, visible) => {
      const p = NAIVE_OPS.softmax(x, visible);
      const [, nRows, nPositions] = x.shape as [number, number, number];
      return changed(p, (v, i) => {
        const row = Math.floor(i / nPositions);
        const last = p.data[row * nPositions + visible.lengths[row % nRows]! - 1]!;
        return last < 1 ? v / (1 - last) : v;
      });
    },
  },
  'softmax: in f16': { softmax: (x, visible) => changed(NAIVE_OPS.softmax(x, visible), half) },
  'attend_mix: the last position dropped': {
    attendMix: (p, v, visible) => NAIVE_OPS.attendMix(p, v, oneLess(visible)),
  },
  'silu: 16 units off': { silu: (x) => changed(NAIVE_OPS.silu(x), (v) => fround(v * (1 + 2 ** -20))) },
  'silu: the plain logistic': { silu: (x) => changed(x, (v) => fround(1 / (1 + Math.exp(-v)))) },
  'add: truncated, not rounded': {
    add: (a, b) => changed(a, (v, i) => truncated(v + b.data[i]!)),
  },
  'mul: truncated, not rounded': {
    mul: (a, b) => changed(a, (v, i) => truncated(v * b.data[i]!)),
  },
  'embed: one unit off': {
    embed: (ids, table) => changed(NAIVE_OPS.embed(ids, table), (v) => fround(v * (1 + 2 ** -23))),
  },
};

/** Towards zero. */
function truncated(exact: number): number {
  const rounded = fround(exact);
  if (Math.abs(rounded) <= Math.abs(exact)) return rounded;
  const bits = new Uint32Array(Float32Array.of(rounded).buffer);
  bits[0] = bits[0]! - 1;
  return new Float32Array(bits.buffer)[0]!;
}

test.each(Object.entries(MUTANTS))('a mutant is caught, and no other op is blamed: %s', (what, mutant) => {
  const { ops } = randomReport(mutant, { ...RUNS, numRuns: 12 });
  const outside = ops.filter(({ worstRatio }) => worstRatio > 1).map(({ op }) => op.replace(' q8', ''));
  expect([...new Set(outside)]).toEqual([what.split(':')[0]]);
});

describe('the report', () => {
  const [model] = fc.sample(randomModels, { numRuns: 1, seed: 5 }) as [RandomModel];
  const scenario: Scenario = { steps: [[3], [2]], picks: [1, 2, 3] };
  const plain = buildModel({ ...model.spec, head: 'plain', layers: [{ ...model.spec.layers[0]!, junk: [] }] });

  test('names the first value outside, its element and its bound', () => {
    const ops = { silu: (x: Tensor) => changed(NAIVE_OPS.silu(x), (v, i) => (i === 2 ? v + 1 : v)) };
    const once: Scenario = { ...scenario, steps: [[3]] }; // one run of one layer: one value is changed
    const { firstOutside, ops: lines } = boundsOf(executorWith(ops, plain.graph, plain.weights), plain, once);
    expect(firstOutside).toMatchObject({ name: 'blk.0.ffn_silu', op: 'silu', index: 2 });
    const { value, exact, bound } = firstOutside!;
    // The value was within its bound before 1 was added, and that sum was rounded to f32.
    expect(Math.abs(value - (exact + 1))).toBeLessThanOrEqual(bound + 2 ** -24 * Math.abs(value));
    const line = lines.find(({ op }) => op === 'silu')!;
    expect(line.worstError).toBe(Math.abs(value - exact));
    expect(line.worstRatio).toBe(line.worstError / bound);
    expect(line.worstRatio).toBeGreaterThan(1);
    expect(lines.filter(({ op }) => op !== 'silu').every(({ worstRatio }) => worstRatio <= 1)).toBe(true);
  });

  test.each([NaN, Infinity, -Infinity])('%d is outside, and shows in the figures', (v) => {
    const ops = { silu: (x: Tensor) => changed(NAIVE_OPS.silu(x), (y, i) => (i === 3 ? v : y)) };
    const { firstOutside, ops: lines } = boundsOf(executorWith(ops, plain.graph, plain.weights), plain, scenario);
    expect(firstOutside).toMatchObject({ op: 'silu', index: 3, value: v });
    expect(lines.find(({ op }) => op === 'silu')).toMatchObject({ worstRatio: Infinity, worstError: Math.abs(v) });
  });

  test('boundedRun runs, records and checks', () => {
    const executor = executorWith({}, plain.graph, plain.weights);
    const cache = executor.createCache(8);
    const sequence = cache.create();
    const batch = reserveBatch(cache, [sequence], [3], plain.spec.vocab, () => 1);
    const { firstOutside, ops } = boundedRun(executor, plain.weights, batch, cache);
    expect(firstOutside).toBeUndefined();
    expect(ops.find(({ op }) => op === 'embed')!.nValues).toBe(3 * plain.spec.dim);
    expect(cache.length(sequence)).toBe(3);
  });

  test('the float64 tier has no bounds of its own', () => {
    const truth = createNaive64Executor(plain.graph, plain.weights);
    expect(() => boundsOf(truth, plain, scenario)).toThrow(/bounds are for the f32 tiers/);
  });
});

describe('super-blocks', () => {
  const modelOf = (dtype: CodedDType): RandomModel =>
    buildModel({
      seed: 4,
      layers: [{ attention: [dtype, dtype, dtype], ffn: dtype, junk: [] }],
      heads: [4, 2, 64],
      dim: 256,
      hiddenDim: 256,
      vocab: 9,
      activations: 'q8',
      layout: 'pairs',
      isPartialRope: false,
      embeddingDType: dtype,
      isTied: true,
      head: 'plain',
    });
  const reportOf = (model: RandomModel, ops: Partial<OpSet<Float32Array>>) => {
    const executor = executorWith(ops, model.graph, model.weights);
    const cache = executor.createCache(3);
    const batch = batchOf(cache, [{ sequence: cache.create(), ids: [1, 8, 3] }]);
    return boundedRun(executor, model.weights, batch, cache);
  };

  test.each(CODED_DTYPES.filter((dtype) => DTYPES[dtype].blockSize === 256))('of %s', (dtype) => {
    const model = modelOf(dtype);
    const { ops, firstOutside } = reportOf(model, {});
    expect(firstOutside).toBeUndefined();
    expect(ops.find(({ op }) => op === 'linear q8')!.worstError).toBeGreaterThan(0);
    // Activations that are not rounded are another product.
    const plain = reportOf(model, { linear: (x, w) => NAIVE_OPS.linear(x, w, 'f32') });
    expect(plain.firstOutside!.op).toBe('linear q8');
  });
});
