import { expect } from 'vitest';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { argmax, distanceOf, logitsOfCase, PROMPTS, spreadOf } from './architecture_cases.ts';
import { EXACT_SHARE, type GoldenModel, mostShareOf } from './architecture_goldens.ts';
import { BUILDS } from './executors.ts';

/** A random model has the logits that llama.cpp computed for the same file, in float64, in f32 and with sums in f64. */
export async function expectArchitecture(
  architecture: RandomArchitectureName,
  { layout, seed, logits }: GoldenModel,
): Promise<void> {
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
  for (const kernels of BUILDS) expect(await logitsOfCase(one, { kernels }), kernels).toEqual(naive);
}
