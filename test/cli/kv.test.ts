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
  ['--kv', 'paged', '--prefill-chunk', '7', '--kv-type', 'f32'],
  ['--kv', 'prefix'],
  ['--kv', 'tiered', '--kv-budget', '64'],
  ['--kv', 'paged', '--window', '64'],
  // These lose nothing as long as they cover the sequence.
  ['--window', '64'],
  ['--window', '40', '--sinks', '20'],
  ['--kv-budget', '60', '--kv-evict', 'importance', '--sinks', '1', '--kv-recent', '20'],
  ['--kv-type', 'q4_0', '--kv-recent', '64'],
];

/** What these give depends on a token's position, not on how the prompt is cut. */
const LOSSY = [
  ['--window', '16'],
  ['--window', '16', '--sinks', '0'],
  ['--kv-budget', '32', '--kv-evict', 'importance'],
  ['--kv-type', 'q8_0'],
  ['--kv', 'paged', '--kv-type', 'q8_0', '--window', '30'],
  ['--kv-type', 'q4_0', '--window', '30', '--kv-recent', '5'],
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

  test.each(LOSSY.map((form) => [form.join(' '), form]))('%s: other logits, for any chunks', async (_what, form) => {
    const logits = ['logits', '--ids', IDS, '--top', '3'];
    const lossy = await runJson<object>([...logits, ...form]);
    expect(lossy).not.toEqual(await runJson<object>(logits));
    expect(await runJson<object>([...logits, ...form, '--prefill-chunk', '7'])).toEqual(lossy);
  });

  test("the model's own context is the limit of a window too", async () => {
    const { stderr, exitCode } = await runCli(['generate', '--window', '32', '--max-seq', '513', 'x']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('max-seq is 513, the model was made for 512 positions');
  });

  test('a budget that is too small is a failure, and says what to do', async () => {
    const { exitCode, stderr } = await runCli([...GENERATE, '--kv', 'paged', '--kv-budget', '32']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('3 more pages of 16 positions do not fit, 0 of 2 are in use; raise --kv-budget');
  });

  test.each([
    ['--window', '32'],
    ['--kv-type', 'q8_0'],
    ['--kv-budget', '64', '--kv-evict', 'importance'],
  ])('a chat that %s could not save in the end is refused before it begins', async (...flags) => {
    const { exitCode, stderr } = await runCli(['chat', ...flags, '--save-session', 'talk.session']);
    expect(stderr).toContain('cannot be saved; leave');
    expect(exitCode).toBe(2);
    // Its messages can be: what is wrong then is the model, which has no template.
    expect((await runCli(['chat', ...flags, '--save-session', 'talk.json'])).stderr).toContain('has no chat template');
  });

  test.each([
    [['--kv', 'heap'], 'Allowed choices are contiguous, paged, prefix, tiered'],
    [['--kv', 'paged', '--page-size', '24'], 'page-size is 24, must be a multiple of 16'],
    [['--kv', 'paged', '--page-size', 'x'], 'It must be a whole number'],
    [['--kv', 'paged', '--kv-budget', '8'], 'kv-budget is 8 positions, must be a whole number that holds a page of 16'],
    [['--page-size', '24'], 'page-size is 24, must be a multiple of 16'],
    [
      ['--kv', 'contiguous', '--page-size', '8'],
      'page-size 8 does not go with kv contiguous: it is of pages that sequences may share; use --kv paged',
    ],
    [['--kv-budget', '0'], 'kv-budget is 0 positions, must be a whole number that holds a page of 16'],
    [['--window', '0'], 'window is 0, must be a whole number from 1 on'],
    [['--sinks', '4'], 'sinks is 4, but nothing is forgotten; say --window N, or leave it out'],
    [['--kv-type', 'q5_0'], 'Allowed choices are f32, q8_0, q4_0'],
    [['--kv-recent', '9'], 'kv-recent is 9, but rows are kept in f32; say --kv-type q8_0 or q4_0'],
    [
      ['--kv', 'prefix', '--window', '9'],
      'window 9 does not go with kv prefix: it drops pages, which are not found again; use --kv paged',
    ],
    [['--kv-evict', 'importance'], 'say --kv-budget N too'],
    [
      ['--kv-evict', 'importance', '--kv-budget', '40', '--kv', 'paged'],
      'and pages of --kv paged may have several; leave out --kv paged',
    ],
    [
      ['--page-size', '32', '--kv-type', 'q8_0', '--kv-recent', '9'],
      'kv-recent 9 does not go with kv paged: it rounds pages when they are old',
    ],
    [['--prefill-chunk', '0'], 'prefill-chunk is 0, must be a positive integer'],
  ])('%j is wrong usage', async (flags, message) => {
    for (const command of ['generate', 'logits', 'chat']) {
      const { exitCode, stderr, stdout } = await runCli([command, ...flags]);
      expect(stderr).toContain(message);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    }
  });
});
