import { describe, test } from 'vitest';
import { expectArchitecture } from '../support/architecture_golden_test.ts';
import { readGoldens } from '../support/architecture_goldens.ts';

/** Every layout of architectures.test.ts: those of six layers take longer than all others together. */
describe.each(readGoldens().map((golden) => [golden.architecture, golden] as const))('%s', (architecture, golden) => {
  test.each(golden.models.map((model) => [model.layout, model] as const))('%s', (_layout, model) =>
    expectArchitecture(architecture, model),
  );
});
