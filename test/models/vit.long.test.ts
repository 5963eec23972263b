import { test } from 'vitest';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { expectGolden } from '../support/vit_golden.ts';

describeWithFixture('vit-cifar10', 'the golden logits of 17 pictures, wrong answers included', () => {
  test.each(['naive64', 'naive'] as const)(
    '%s',
    (executor) => expectGolden(fixture('vit-cifar10'), 17, executor),
    120_000,
  );
});
