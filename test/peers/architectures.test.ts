import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import {
  ALL_ARCHITECTURES,
  ALL_LAYOUTS,
  type ArchitectureCase,
  argmax,
  distanceOf,
  type LAYOUTS,
  logitsOfCase,
  PROMPTS,
  spreadOf,
} from '../support/architecture_cases.ts';
import { EXACT_SHARE, mostShareOf } from '../support/architecture_goldens.ts';
import { createWitness, type Witness } from './model_files.ts';

/**
 * Every decoder beside llama.cpp. It runs the weights as f32, with keys and values as f32 and without flash attention; we run
 * that file and the quantized one with f32 activations; the float64 tier is the truth. A peer that is near the truth shows
 * that we compute the same model. How far the f32 tiers are from it is reported beside the peer's own distance; with sums in
 * float64 ours is never the larger one.
 */

const FORMATS: readonly DType[] = ['f32', 'f16', 'q8_0', 'q4_k'];
const SEED = 7;

/** A row of what is not asserted: llama.cpp's own run of the quantized file. */
interface Reported {
  readonly name: string;
  readonly ours: number;
  readonly theirs: number;
  /** Of ours with sums in f64 to theirs. */
  readonly ratio: number;
  readonly top1: number;
  readonly kl: number;
}

let witness: Witness;
let folder: string;
const reported: Reported[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'glassformer-peers-'));
  witness = createWitness(folder);
});
afterAll(async () => {
  await witness.close();
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write('distance to float64 as a share of the spread; llama.cpp quantized against float64\n');
  for (const { name, ours, theirs, ratio, top1, kl } of reported) {
    const row = [
      `ours ${ours.toExponential(1)}`,
      `theirs ${theirs.toExponential(1)}`,
      `sums f64 over theirs ${ratio.toFixed(3)}`,
    ];
    process.stdout.write(`${name}: ${row.join(', ')}; top-1 ${top1}/${PROMPTS.length}, KL ${kl.toExponential(1)}\n`);
  }
});

function formatsOf(layout: keyof typeof LAYOUTS): DType[] {
  return FORMATS.filter((format) => layout === 'whole blocks' || (format !== 'q4_k' && format !== 'q8_0'));
}

describe.each(ALL_ARCHITECTURES)('%s', (architecture) => {
  const cases = ALL_LAYOUTS.flatMap((layout) => formatsOf(layout).map((format) => [layout, format] as const));
  test('has cases of several head layouts and of every format', () => {
    expect(cases.length).toBeGreaterThanOrEqual(10);
    expect(new Set(cases.map(([, format]) => format)).size).toBe(FORMATS.length);
  });

  test.each(cases)('%s, %s', async (layout, format) => {
    const quantized: ArchitectureCase = { architecture, layout, format, seed: SEED };
    const exact: ArchitectureCase = { ...quantized, isUnpacked: true };
    const truth = await logitsOfCase(exact, { executor: 'naive64' });
    const theirs = await witness.logits(exact);
    const spread = spreadOf(truth);
    const theirDistance = distanceOf(theirs, truth);
    expect(spread, 'the model tells tokens apart').toBeGreaterThan(0);
    expect(theirDistance / spread, 'llama.cpp computes this model').toBeLessThanOrEqual(mostShareOf(architecture));
    const ours = await logitsOfCase(exact, { activations: 'f32' });
    const oursQuantized = await logitsOfCase(quantized, { activations: 'f32' });
    expect(distanceOf(ours, truth) / spread, 'as f32').toBeLessThanOrEqual(EXACT_SHARE);
    expect(distanceOf(oursQuantized, truth) / spread, 'from the quantized file').toBeLessThanOrEqual(EXACT_SHARE);

    const wide = { activations: 'f32', sums: 'f64' } as const;
    const oursWide = distanceOf(await logitsOfCase(exact, wide), truth);
    const oursWideQuantized = distanceOf(await logitsOfCase(quantized, wide), truth);
    expect(oursWide, 'sums in f64 are no further than llama.cpp').toBeLessThanOrEqual(theirDistance);
    expect(oursWideQuantized, 'nor from the quantized file').toBeLessThanOrEqual(theirDistance);

    const theirsQuantized = await witness.logits(quantized);
    reported.push({
      name: `${architecture}, ${layout}, ${format}`,
      ours: distanceOf(ours, truth) / spread,
      ratio: oursWide / theirDistance,
      theirs: theirDistance / spread,
      top1: theirsQuantized.filter((row, r) => argmax(row) === argmax(truth[r]!)).length,
      kl: Math.max(...theirsQuantized.map((row, r) => klOf(truth[r]!, row))),
    });
  });
});

/** KL(softmax(p) | softmax(q)), nats. */
function klOf(p: ArrayLike<number>, q: ArrayLike<number>): number {
  const [logP, logQ] = [logSoftmax(p), logSoftmax(q)];
  return logP.reduce((sum, lp, i) => sum + Math.exp(lp) * (lp - logQ[i]!), 0);
}

function logSoftmax(row: ArrayLike<number>): number[] {
  const x = Array.from(row);
  const max = Math.max(...x);
  const logSum = max + Math.log(x.reduce((sum, v) => sum + Math.exp(v - max), 0));
  return x.map((v) => v - logSum);
}
