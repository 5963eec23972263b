import { describe, expect, test } from 'vitest';
import { runCli, runJson } from './fake_io.ts';

interface Generated {
  ids: number[];
}

const IDS = Array.from({ length: 40 }, (_, t) => 16 + ((t * 37) % 1000)).join(',');
const GENERATE = ['generate', '--ids', IDS, '--seed', '3', '--max-tokens', '12'];

const FORMS = [
  ['--kv', 'contiguous'],
  ['--kv', 'paged'],
  ['--kv', 'paged', '--page-size', '48', '--kv-budget', '144'],
  ['--kv', 'paged', '--prefill-chunk', '7'],
  ['--kv', 'prefix'],
];

describe('the form of the cache', () => {
  test.each(FORMS.map((form) => [form.join(' '), form]))('%s: the same ids', async (_what, form) => {
    const plain = await runJson<Generated>(GENERATE);
    const { ids } = await runJson<Generated>([...GENERATE, ...form]);
    expect(ids).toEqual(plain.ids);
    expect(ids).toHaveLength(12);
  });

  test.each(FORMS.map((form) => [form.join(' '), form]))('%s: the same logits', async (_what, form) => {
    const plain = await runJson<object>(['logits', '--ids', IDS, '--top', '3']);
    expect(await runJson<object>(['logits', '--ids', IDS, '--top', '3', ...form])).toEqual(plain);
  });

  test('a budget that is too small is a failure, and says what to do', async () => {
    const { exitCode, stderr } = await runCli([...GENERATE, '--kv', 'paged', '--kv-budget', '32']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('3 more pages of 16 positions do not fit, 0 of 2 are in use; raise --kv-budget');
  });

  test.each([
    [['--kv', 'heap'], 'Allowed choices are contiguous, paged, prefix'],
    [['--kv', 'paged', '--page-size', '24'], 'page-size is 24, must be a multiple of 16'],
    [['--kv', 'paged', '--page-size', 'x'], 'It must be a whole number'],
    [['--kv', 'paged', '--kv-budget', '8'], 'kv-budget is 8 positions, must be a whole number that holds a page of 16'],
    [['--page-size', '32'], 'page-size is for caches made of pages, kv is contiguous; choose another kv'],
    [['--prefill-chunk', '0'], 'prefill-chunk is 0, must be a positive integer'],
  ])('%j is wrong usage', async (flags, message) => {
    for (const command of ['generate', 'logits', 'chat']) {
      const { exitCode, stderr, stdout } = await runCli([command, ...flags]);
      expect(stderr).toContain(message);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    }
  });
});
