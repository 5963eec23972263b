import { describe, expect, test } from 'vitest';
import {
  ALL_ARCHITECTURES,
  argmax,
  distanceOf,
  logitsOfCase,
  PROMPTS,
  spreadOf,
} from '../support/architecture_cases.ts';
import { EXACT_SHARE, mostShareOf, readGoldens } from '../support/architecture_goldens.ts';
import { BUILDS } from '../support/executors.ts';

/** Every decoder of which random models can be written, against what llama.cpp computed for the same files. */

const GOLDENS = readGoldens();

test('every architecture has a golden of several head layouts', () => {
  expect(GOLDENS.map((golden) => golden.architecture).sort()).toEqual([...ALL_ARCHITECTURES].sort());
  for (const { models } of GOLDENS) expect(new Set(models.map((model) => model.layout)).size).toBeGreaterThan(1);
});

describe.each(GOLDENS.map((golden) => [golden.architecture, golden] as const))('%s', (architecture, { models }) => {
  test.each(models.map((model) => [model.layout, model] as const))('%s', async (layout, { seed, logits }) => {
    const one = { architecture, layout, format: 'f32', seed } as const;
    const truth = await logitsOfCase(one, { executor: 'naive64' });
    expect(logits.length).toBe(PROMPTS.length);
    const spread = spreadOf(truth);
    expect(distanceOf(logits, truth) / spread, 'llama.cpp and float64').toBeLessThanOrEqual(mostShareOf(architecture));
    const naive = await logitsOfCase(one, { executor: 'naive' });
    expect(distanceOf(naive, truth) / spread, 'f32 and float64').toBeLessThanOrEqual(EXACT_SHARE);
    const wide = await logitsOfCase(one, { activations: 'f32', sums: 'f64' });
    expect(distanceOf(wide, truth), 'sums in f64 are no further than llama.cpp').toBeLessThanOrEqual(
      distanceOf(logits, truth),
    );
    expect(naive.map(argmax), 'top tokens').toEqual(truth.map(argmax));
    // Equal bits in all forms are a property of their own (architecture_bits.test.ts): one layout for each is enough here.
    if (layout !== models[0]!.layout) return;
    for (const kernels of BUILDS) expect(await logitsOfCase(one, { kernels }), kernels).toEqual(naive);
  });
});
