import { join } from 'node:path';
import { describe, test } from 'vitest';
import { describeWithFixture, fixture, ROOT } from '../support/fixtures.ts';
import { expectGolden } from '../support/vit_golden.ts';

const NAIVE = ['naive64', 'naive'] as const;

describe('embedded', () => {
  test.each(NAIVE)('%s has the golden logits of every picture', (executor) =>
    expectGolden(join(ROOT, 'src/embedded/vit'), 5, executor),
  );
});

describeWithFixture('vit-cifar10', 'the golden logits of 17 pictures, wrong answers included', () => {
  test.each(NAIVE)('%s', (executor) => expectGolden(fixture('vit-cifar10'), 17, executor), 120_000);
});
