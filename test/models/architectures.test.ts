import { describe, expect, test } from 'vitest';
import { ALL_ARCHITECTURES } from '../support/architecture_cases.ts';
import { expectArchitecture } from '../support/architecture_golden_test.ts';
import { readGoldens } from '../support/architecture_goldens.ts';

/** Every decoder of which random models can be written, against what llama.cpp computed for the same files. */

const GOLDENS = readGoldens();

test('every architecture has a golden of several head layouts', () => {
  expect(GOLDENS.map((golden) => golden.architecture).sort()).toEqual([...ALL_ARCHITECTURES].sort());
  for (const { models } of GOLDENS) expect(new Set(models.map((model) => model.layout)).size).toBeGreaterThan(1);
});

/** Layouts of many layers, where what changes from layer to layer is met; the other families have theirs in the long test. */
const WITH_PATTERNS: readonly string[] = ['gemma3', 'llama'];

describe.each(GOLDENS.map((golden) => [golden.architecture, golden] as const))('%s', (architecture, { models }) => {
  const quick = models.filter(({ layout }) => layout !== 'grouped' || WITH_PATTERNS.includes(architecture));
  test.each(quick.map((model) => [model.layout, model] as const))('%s', (_layout, model) =>
    expectArchitecture(architecture, model),
  );
});
