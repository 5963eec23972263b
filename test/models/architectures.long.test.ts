import { describe, test } from 'vitest';
import { expectArchitecture } from '../support/architecture_golden_test.ts';
import { readGoldens } from '../support/architecture_goldens.ts';

/** The layout of architectures.test.ts that most families leave out there: of six layers, it takes longer than all others together. */
describe.each(readGoldens().map((golden) => [golden.architecture, golden] as const))('%s', (architecture, golden) => {
  const large = golden.models.filter(({ layout }) => layout === 'grouped');
  test.each(large.map((model) => [model.layout, model] as const))('%s', (_layout, model) =>
    expectArchitecture(architecture, model),
  );
});
