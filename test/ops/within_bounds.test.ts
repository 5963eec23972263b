import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES, type DType } from '../../src/core/dtype.ts';
import { bf16ToF32, f32ToBf16 } from '../../src/core/half.ts';
import { type Tensor, tensor, type Weight } from '../../src/core/tensor.ts';
import { expertSumBounds, expertWeightsBounds } from '../../src/exec/expert_bounds.ts';
import {
  activationBounds,
  addBiasBounds,
  addBounds,
  attendMixBounds,
  attendScoresBounds,
  type Bounded,
  linearBounds,
  linearQ8Bounds,
  mulBounds,
  positionBiasBounds,
  ropeBounds,
  scaleBounds,
  wide,
} from '../../src/exec/op_bounds.ts';
import {
  geluBounds,
  geluTanhBounds,
  layerNormBounds,
  quickGeluBounds,
  rmsNormBounds,
  sigmoidBounds,
  siluBounds,
  siluFastBounds,
  softCapBounds,
  softmaxBounds,
  tanhBounds,
} from '../../src/exec/row_bounds.ts';
import { add } from '../../src/ops/add.ts';
import { addBias } from '../../src/ops/add_bias.ts';
import { attendMix } from '../../src/ops/attend_mix.ts';
import { attendScores } from '../../src/ops/attend_scores.ts';
import { chooseExperts } from '../../src/ops/choose_experts.ts';
import { expertSum } from '../../src/ops/expert_sum.ts';
import { expertWeights } from '../../src/ops/expert_weights.ts';
import { gelu } from '../../src/ops/gelu.ts';
import { geluTanh } from '../../src/ops/gelu_tanh.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { linear, linear64 } from '../../src/ops/linear.ts';
import { mul } from '../../src/ops/mul.ts';
import { positionBias } from '../../src/ops/position_bias.ts';
import { quickGelu } from '../../src/ops/quick_gelu.ts';
import { rmsNorm } from '../../src/ops/rms_norm.ts';
import { type RopeLayout, rope } from '../../src/ops/rope.ts';
import { ropeFrequencies, ropeTable, ropeTable64 } from '../../src/ops/rope_table.ts';
import { scale } from '../../src/ops/scale.ts';
import { sigmoid } from '../../src/ops/sigmoid.ts';
import { silu } from '../../src/ops/silu.ts';
import { siluFast } from '../../src/ops/silu_fast.ts';
import { softCap } from '../../src/ops/soft_cap.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { tanhOf } from '../../src/ops/tanh.ts';
import { allUpTo } from '../../src/ops/visible.ts';
import { CODED_DTYPES } from '../../src/quant/codes.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { type FloatSource, floatSource, hardFloats } from '../support/hard_floats.ts';
import { weightBytes } from '../support/weight_cases.ts';

/**
 * Each f32 twin against its float64 form, on inputs that numeric code gets wrong: zeros of both signs, subnormals, the
 * largest numbers, cancelling neighbours, NaN and infinities. (On models, test/exec/bounds.test.ts does the same.)
 */

interface Outcome {
  readonly values: Float32Array | Float64Array;
  readonly bounded: Bounded;
}

/** One op on random inputs of one kind; `random` draws whole numbers. */
type Draw = (source: FloatSource, random: (max: number) => number) => Outcome;

function floats(source: FloatSource, shape: readonly number[], salt: number): Tensor {
  return tensor(
    shape,
    hardFloats(
      source,
      shape.reduce((n, size) => n * size, 1),
      salt,
    ),
  );
}

function weightOf(source: FloatSource, dtype: DType, nOut: number, nIn: number): Weight {
  return { name: 'w', dtype, shape: [nOut, nIn], bytes: weightBytes({ values: source }, dtype, nOut, nIn) };
}

const LAYOUTS: readonly RopeLayout[] = ['pairs', 'halves'];
/** Zero on purpose: then the norm of a row of zeros is 0 / 0. */
const EPSILONS: readonly number[] = [1e-5, 1e-6, 0, 2 ** -149];

/** Gemma 2's, one that bends everything, and one that f32 rounds. */
const CAPS: readonly number[] = [30, 50, 0.7, 1 / 3];

const OPS: Readonly<Record<string, Draw>> = {
  add(source, random) {
    const a = floats(source, [random(20)], 1);
    const b = floats(source, a.shape, 2);
    return { values: add(a, b).data, bounded: addBounds(a, b) };
  },
  mul(source, random) {
    const a = floats(source, [random(20)], 1);
    const b = floats(source, a.shape, 2);
    return { values: mul(a, b).data, bounded: mulBounds(a, b) };
  },
  silu(source, random) {
    const x = floats(source, [random(20)], 1);
    // Also where the exponential overflows, and where it vanishes.
    for (let i = 0; i < x.data.length; i += 3) x.data[i] = x.data[i]! * 100;
    return { values: silu(x).data, bounded: siluBounds(x) };
  },
  silu_fast(source, random) {
    const x = floats(source, [random(20)], 1);
    for (let i = 0; i < x.data.length; i += 3) x.data[i] = x.data[i]! * 100;
    return { values: siluFast(x).data, bounded: siluFastBounds(x) };
  },
  gelu(source, random) {
    const x = floats(source, [random(20)], 1);
    // Also where erf is -1 and 1 to the last bit.
    for (let i = 0; i < x.data.length; i += 2) x.data[i] = x.data[i]! * (i % 4 === 0 ? 5 : 100);
    return { values: gelu(x).data, bounded: geluBounds(x) };
  },
  gelu_tanh(source, random) {
    const x = floats(source, [random(20)], 1);
    for (let i = 0; i < x.data.length; i += 2) x.data[i] = x.data[i]! * (i % 4 === 0 ? 5 : 100);
    return { values: geluTanh(x).data, bounded: geluTanhBounds(x) };
  },
  quick_gelu(source, random) {
    const x = floats(source, [random(20)], 1);
    for (let i = 0; i < x.data.length; i += 3) x.data[i] = x.data[i]! * 60; // 1.702 of it feels both ends of exp
    return { values: quickGelu(x).data, bounded: quickGeluBounds(x) };
  },
  position_bias(source, random) {
    const [nHeads, nRows, nPositions, maxDistance] = [1 + random(2), 1 + random(3), 1 + random(9), 1 + random(4)];
    const x = floats(source, [nHeads, nRows, nPositions], 1);
    const b = floats(source, [nHeads * (2 * maxDistance + 1)], 1);
    const positions = Int32Array.from({ length: nRows }, () => random(nPositions));
    const visible = allUpTo(Int32Array.from({ length: nRows }, () => random(nPositions)));
    return {
      values: positionBias(x, positions, b, visible, maxDistance).data,
      bounded: positionBiasBounds(x, positions, b, visible, maxDistance),
    };
  },
  tanh(source, random) {
    const x = floats(source, [random(20)], 1);
    for (let i = 0; i < x.data.length; i += 2) x.data[i] = x.data[i]! * (i % 4 === 0 ? 5 : 100);
    return { values: tanhOf(x).data, bounded: tanhBounds(x) };
  },
  soft_cap(source, random) {
    const x = floats(source, [random(20)], 1);
    // From where it is nearly a straight line to where it is the cap to the last bit; and tiny ones.
    for (let i = 0; i < x.data.length; i++) x.data[i] = x.data[i]! * [1, 30, 3000, 2 ** -130][i % 4]!;
    const cap = CAPS[random(CAPS.length - 1)]!;
    return { values: softCap(x, cap).data, bounded: softCapBounds(x, cap) };
  },
  scale(source, random) {
    const x = floats(source, [random(20)], 1);
    const by = Math.sqrt(1 + random(99));
    return { values: scale(x, by).data, bounded: scaleBounds(x, by) };
  },
  add_bias(source, random) {
    const x = floats(source, [random(3), 1 + random(20)], 1);
    const b = floats(source, [x.shape[1]!], 2);
    return { values: addBias(x, b).data, bounded: addBiasBounds(x, b) };
  },
  layer_norm(source, random) {
    const x = floats(source, [random(3), random(40)], 1);
    const [g, b] = [floats(source, [x.shape[1]!], 2), floats(source, [x.shape[1]!], 3)];
    const eps = EPSILONS[random(EPSILONS.length - 1)]!;
    return { values: layerNorm(x, g, b, eps).data, bounded: layerNormBounds(x, g, b, eps) };
  },
  rms_norm(source, random) {
    const x = floats(source, [random(3), random(40)], 1);
    const g = floats(source, [x.shape[1]!], 2);
    const eps = EPSILONS[random(EPSILONS.length - 1)]!;
    return { values: rmsNorm(x, g, eps).data, bounded: rmsNormBounds(x, g, eps) };
  },
  linear(source, random) {
    const dtype = ALL_DTYPES[random(ALL_DTYPES.length - 1)]!;
    const { blockSize } = DTYPES[dtype];
    const nIn = blockSize > 1 ? blockSize * random(blockSize > 32 ? 2 : 3) : random(70);
    const w = weightOf(source, dtype, random(4), nIn);
    const x = floats(source, [random(3), nIn], 1);
    return { values: linear(x, w, 'f32').data, bounded: linearBounds(x, w) };
  },
  'linear q8'(source, random) {
    const dtype = CODED_DTYPES[random(CODED_DTYPES.length - 1)]!;
    const nIn = DTYPES[dtype].blockSize * random(3);
    const w = weightOf(source, dtype, random(4), nIn);
    const x = floats(source, [random(3), nIn], 1);
    return { values: linear(x, w, 'q8').data, bounded: linearQ8Bounds(x, w) };
  },
  'activations q8'(source, random) {
    const blockSize = random(1) === 0 ? 32 : 256;
    const { rounded, ...bounded } = activationBounds(floats(source, [random(2), blockSize * random(3)], 1), blockSize);
    return { values: rounded, bounded };
  },
  rope(source, random) {
    const halfDim = 1 + random(4);
    const x = floats(source, [random(4), random(2), 2 * halfDim + random(3)], 1);
    const positions = Int32Array.from({ length: x.shape[0]! }, () => random(50));
    const spec = { frequencies: ropeFrequencies(10000, 2 * halfDim), magnitude: random(1) === 0 ? 1 : 1.25 };
    const layout = LAYOUTS[random(1)]!;
    return {
      values: rope(x, positions, ropeTable(spec, 51), layout).data,
      bounded: ropeBounds(x, positions, ropeTable64(spec, 51), layout),
    };
  },
  attend_scores(source, random) {
    const { visible, nKvHeads, nHeads, nPositions } = attention(random);
    const headDim = random(9);
    const q = floats(source, [visible.lengths.length, nHeads, headDim], 1);
    const k = floats(source, [nPositions, nKvHeads, headDim], 2);
    const scale = 1 / Math.sqrt(1 + random(9));
    const cap = random(1) === 0 ? undefined : CAPS[random(CAPS.length - 1)]!;
    return {
      values: attendScores(q, k, visible, scale, cap).data,
      bounded: attendScoresBounds(q, k, visible, scale, cap),
    };
  },
  softmax(source, random) {
    const { visible, nHeads, nPositions } = attention(random);
    const x = floats(source, [nHeads, visible.lengths.length, nPositions], 1);
    for (let i = 0; i < x.data.length; i += 2) x.data[i] = x.data[i]! * 60; // differences that exp feels
    return { values: softmax(x, visible).data, bounded: softmaxBounds(x, visible) };
  },
  sigmoid(source, random) {
    const x = floats(source, [random(20)], 1);
    for (let i = 0; i < x.data.length; i += 3) x.data[i] = x.data[i]! * 100;
    return { values: sigmoid(x).data, bounded: sigmoidBounds(x) };
  },
  expert_weights(source, random) {
    const [nRows, nExperts] = [random(3), 1 + random(7)];
    const scores = floats(source, [nRows, nExperts], 1);
    const experts = chooseExperts(scores, 1 + random(nExperts - 1));
    const [isNormalized, scale] = [random(1) === 0, random(1) === 0 ? 1 : 2.5];
    return {
      values: expertWeights(scores, experts, isNormalized, scale).data,
      bounded: expertWeightsBounds(scores, experts, isNormalized, scale),
    };
  },
  expert_sum(source, random) {
    const [nRows, nChosen, dim] = [random(3), 1 + random(5), random(9)];
    const x = floats(source, [nRows, nChosen * dim], 1);
    const weights = floats(source, [nRows, nChosen], 2);
    return { values: expertSum(x, weights).data, bounded: expertSumBounds(x, weights) };
  },
  attend_mix(source, random) {
    const { visible, nKvHeads, nHeads, nPositions } = attention(random);
    const p = floats(source, [nHeads, visible.lengths.length, nPositions], 1);
    const v = floats(source, [nPositions, nKvHeads, 1 + random(6)], 2);
    return { values: attendMix(p, v, visible).data, bounded: attendMixBounds(p, v, visible) };
  },
};

function attention(random: (max: number) => number) {
  const nPositions = random(20);
  const nKvHeads = 1 + random(1);
  const lengths = Int32Array.from({ length: random(3) }, () => random(nPositions));
  const sinks = random(1) * random(5);
  return {
    nPositions,
    nKvHeads,
    nHeads: nKvHeads * (1 + random(2)),
    visible: { lengths, sinks, starts: lengths.map(() => sinks + random(1) * random(12)) },
  };
}

/** Finite bounds are kept, and what is NaN in float64 is NaN in f32. */
function keepsBounds({ exact, bound }: Bounded, values: Float32Array | Float64Array): boolean {
  return (
    values.length === exact.length &&
    values.every((v, i) => {
      if (Number.isNaN(exact[i])) return Number.isNaN(v);
      // A copied infinity is itself, though its difference is NaN.
      return v === exact[i] || bound[i] === Infinity || Math.abs(v - exact[i]!) <= bound[i]!;
    })
  );
}

/** Draws whole numbers 0..max from a list, in turn. */
function drawsFrom(numbers: readonly number[]): (max: number) => number {
  let next = 0;
  return (max) => numbers[next++ % numbers.length]! % (max + 1);
}

const picks = fc.array(fc.nat(), { minLength: 20, maxLength: 20 });
const RUNS = { numRuns: 300, seed: 11 };
/** 8 significant bits: a result as coarse as that is outside the bound of every op that computes. */
const coarse = (v: number): number => bf16ToF32(f32ToBf16(v));

describe.each(Object.entries(OPS))('%s', (_op, draw) => {
  const holds = (change: (v: number) => number, seen: (bound: number) => void = () => {}) =>
    fc.property(floatSource, picks, (source, numbers) => {
      const { values, bounded } = draw(source, drawsFrom(numbers));
      bounded.bound.forEach(seen);
      return keepsBounds(bounded, values.map(change));
    });

  test('lies within its bound of float64, and the bound is finite for most inputs', () => {
    let nFinite = 0;
    let nAll = 0;
    const count = (bound: number): void => {
      nAll++;
      if (bound < Infinity) nFinite++;
    };
    fc.assert(
      holds((v) => v, count),
      RUNS,
    );
    expect(nAll).toBeGreaterThan(RUNS.numRuns);
    expect(nFinite / nAll).toBeGreaterThan(0.5);
  });

  test('a result of 8 bits is caught', () => {
    expect(fc.check(holds(coarse), RUNS).failed).toBe(true);
  });
});

test('with quantized activations, the distance to the truth is what rounding x can cost, and the arithmetic', () => {
  fc.assert(
    fc.property(
      floatSource,
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(...CODED_DTYPES),
      (source, nBlocks, dtype) => {
        const { blockSize } = DTYPES[dtype];
        const nIn = blockSize * nBlocks;
        const w = weightOf(source, dtype, 3, nIn);
        const x = floats(source, [2, nIn], 1);
        const truth = linear64(wide(x), w).data;
        const arithmetic = linearQ8Bounds(x, w).bound;
        const rounding = activationBounds(x, blockSize).bound;
        const row = new Float32Array(3 * nIn);
        FORMATS[w.dtype].unpack(w.bytes, 0, row, 0, row.length);
        linear(x, w, 'q8').data.forEach((y, i) => {
          const [t, o] = [Math.floor(i / 3), i % 3];
          let cost = arithmetic[i]!;
          for (let k = 0; k < nIn; k++) cost += Math.abs(row[o * nIn + k]!) * rounding[t * nIn + k]!;
          // float64 adds these few numbers with an error far below one unit of f32 in the sum itself
          if (cost < Infinity) expect(Math.abs(y - truth[i]!)).toBeLessThanOrEqual(cost * (1 + 2 ** -24));
        });
      },
    ),
    RUNS,
  );
});
