import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rowBytes } from '../../../src/core/dtype.ts';
import { f32ToF16 } from '../../../src/core/half.ts';
import { tensor } from '../../../src/core/tensor.ts';
import { linear } from '../../../src/ops/linear.ts';
import { type LadderStep, loadLadderModules, STEP_NAMES, type StepKernel } from '../../bench/ladder_steps.ts';
import { type FloatSource, floatSource, hardFloats, skews } from '../../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../../support/kernel_property.ts';
import { TestMemory } from '../../support/wasm_memory.ts';
import { type WeightSource, weightBytes, weightSource } from '../../support/weight_cases.ts';

/** Every step of the ladder has the bits of the definition, and each way to get other bits is caught. */

const { fround } = Math;
const { steps, arena } = await loadLadderModules();
const memory = new TestMemory(arena);

interface Case {
  readonly x: FloatSource;
  readonly w: WeightSource;
  readonly nTokens: number;
  readonly nIn: number;
  readonly nOut: number;
  readonly skew: number;
}

/** Tokens around the tiles of 4 and 8, rows around 4, 8, 16 and 32, and rows of weights that no vector divides. */
function cases({ dtype }: LadderStep): fc.Arbitrary<Case> {
  return fc.record({
    x: floatSource,
    w: weightSource,
    nTokens: fc.oneof(fc.nat(5), fc.nat(19)),
    nIn: dtype === 'f32' ? fc.nat(40) : fc.nat(3).map((n) => 32 * n),
    nOut: fc.oneof(fc.nat(9), fc.nat(70)),
    skew: skews,
  });
}

type Inputs = { readonly x: Float32Array; readonly w: Uint8Array } & Pick<Case, 'nTokens' | 'nIn' | 'nOut' | 'skew'>;

function check(step: LadderStep, kernel: StepKernel, { x, w, nTokens, nIn, nOut, skew }: Inputs): void {
  memory.reset();
  const atW = memory.put(step.packWeights(w, nOut, nIn), skew);
  const atX = memory.put(step.packTokens(x, nTokens, nIn), skew);
  const y = memory.room(4 * nTokens * nOut, skew ^ 4);
  kernel(y, atX, atW, nTokens, nIn, nOut);
  const weight = { name: 'w', dtype: step.dtype, shape: [nOut, nIn], bytes: w };
  const expected = linear(tensor([nTokens, nIn], x), weight, step.activations).data;
  assertSameBits('y', memory.f32(y, expected.length), expected);
  memory.check();
}

function checkCase(step: LadderStep, kernel: StepKernel, c: Case): void {
  const x = hardFloats(c.x, c.nTokens * c.nIn, 1);
  check(step, kernel, { ...c, x, w: weightBytes(c.w, step.dtype, c.nOut, c.nIn) });
}

test('the steps were found', () => {
  expect(steps.map(({ name }) => name)).toEqual(STEP_NAMES);
  expect(STEP_NAMES).toHaveLength(7);
});

describe.each(steps)('ladder: $name', (step) => {
  const { kernel } = step;
  if (kernel === undefined) {
    test(`SKIPPED: this host does not validate the module of ${step.name}`, (context) => {
      context.skip('relaxed SIMD does not validate here');
    });
    return;
  }

  testKernel<StepKernel>({
    name: step.name,
    kernel,
    sameBits: (wanted) => fc.property(cases(step), (c) => checkCase(step, wanted, c)),
    mutants: { ...callMutants(kernel), ...(step.dtype === 'f32' ? sumMutants(step) : codeMutants(step, kernel)) },
  });

  test('over the borders of blocks', () => {
    const large = { nTokens: 71, nIn: 544, nOut: 37, skew: 4 };
    checkCase(step, kernel, { ...large, x: { seed: 5, kind: 'wide' }, w: { values: { seed: 6, kind: 'wide' } } });
  });

  if (step.dtype === 'f32') return;
  test.each([-1, 1])('the largest sums are exact, activations of sign %i', (sign) => {
    for (const stored of [0x00, 0xff]) {
      const [nTokens, nIn, nOut] = [5, 64, 16];
      const w = new Uint8Array(nOut * rowBytes('q4_0', nIn)).fill(stored); // codes -8, or 7
      for (let at = 0; at < w.length; at += rowBytes('q4_0', 32))
        new DataView(w.buffer).setUint16(at, f32ToF16(0.5), true);
      const x = new Float32Array(nTokens * nIn).fill(sign * 127);
      check(step, kernel, { x, w, nTokens, nIn, nOut, skew: 0 });
    }
  });
});

/** Wrong by what they leave undone, or do besides. */
function callMutants(kernel: StepKernel): Record<string, StepKernel> {
  /** Leaves y[t, o] as it was where `forgets` says so. */
  const without =
    (forgets: (t: number, o: number, nTokens: number, nOut: number) => boolean): StepKernel =>
    (y, x, w, nTokens, nIn, nOut) => {
      const view = memory.view();
      const before = view.slice(y / 4, y / 4 + nTokens * nOut);
      kernel(y, x, w, nTokens, nIn, nOut);
      for (const [i, value] of before.entries()) {
        if (forgets(Math.floor(i / nOut), i % nOut, nTokens, nOut)) view[y / 4 + i] = value;
      }
    };
  return {
    'the last token is forgotten': without((t, _o, nTokens) => t === nTokens - 1),
    'rows that fill no vector are forgotten': without((_t, o, _nTokens, nOut) => o >= (nOut & ~3)),
    'one float behind the last row is written': (y, x, w, nTokens, nIn, nOut) => {
      kernel(y, x, w, nTokens, nIn, nOut);
      memory.view()[y / 4 + nTokens * nOut] = 0;
    },
  };
}

/** Index of w[o, k] in what `packWeights` writes. */
const inRows = (o: number, k: number, nIn: number): number => o * nIn + k;
const inPanels = (o: number, k: number, nIn: number): number => ((o >> 3) * nIn + k) * 8 + (o & 7);

/** f32 sums in another order, or with other roundings. */
function sumMutants(step: LadderStep): Record<string, StepKernel> {
  const indexOf = step.name === 'packed' ? inPanels : inRows;
  const kernelOf =
    (dot: (products: readonly number[]) => number): StepKernel =>
    (y, x, w, nTokens, nIn, nOut) => {
      const m = memory.view();
      for (let t = 0; t < nTokens; t++) {
        for (let o = 0; o < nOut; o++) {
          const product = (_: unknown, k: number) => m[x / 4 + t * nIn + k]! * m[w / 4 + indexOf(o, k, nIn)]!;
          m[y / 4 + t * nOut + o] = dot(Array.from({ length: nIn }, product));
        }
      }
    };
  return {
    'neighbouring k in four lanes: four partial sums': kernelOf((products) => {
      const lanes = new Float32Array(4);
      for (const [k, product] of products.entries()) lanes[k & 3]! += fround(product);
      return fround(fround(lanes[0]! + lanes[2]!) + fround(lanes[1]! + lanes[3]!));
    }),
    'products are not rounded (a fused multiply-add)': kernelOf((products) =>
      products.reduce((sum, product) => fround(sum + product), 0),
    ),
  };
}

/** Wrong by their records of tokens, whose last 8 bytes are a scale and where sums start. */
function codeMutants(step: LadderStep, kernel: StepKernel): Record<string, StepKernel> {
  const changed =
    (change: (view: DataView, record: number) => void): StepKernel =>
    (y, x, w, nTokens, nIn, nOut) => {
      const recordBytes = step.packTokens(new Float32Array(32), 1, 32).length;
      const nRecords = nTokens * (nIn / 32);
      const view = new DataView(arena.memory.buffer, x, nRecords * recordBytes);
      const before = new Uint8Array(arena.bytes(x, view.byteLength));
      for (let i = 0; i < nRecords; i++) change(view, (i + 1) * recordBytes - 8);
      kernel(y, x, w, nTokens, nIn, nOut);
      arena.bytes(x, before.length).set(before);
    };
  return {
    'sums start at 0': changed((view, scale) => view.setInt32(scale + 4, 0)),
    'the scale of activations is left out': changed((view, scale) => view.setFloat32(scale, 1, true)),
  };
}
