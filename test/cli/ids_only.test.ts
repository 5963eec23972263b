import { expect, test } from 'vitest';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { runCli, runJson } from './fake_io.ts';

/** A folder without tokenizer.json: ids in, ids out. This one sorts: after six tokens it says them in order. */
describeWithFixture('gpt-nano-sort', 'a folder without a vocabulary', () => {
  const model = fixture('gpt-nano-sort');
  const sort = ['generate', '--model', model, '--ids', '2,1,0,0,1,2', '--temperature', '0', '--max-tokens', '5'];

  test('generates ids from ids', async () => {
    expect(await runCli(sort)).toMatchObject({ exitCode: 0, stdout: ' 0 0 1 1 2' });
    expect(await runJson(sort)).toMatchObject({ ids: [0, 0, 1, 1, 2], text: ' 0 0 1 1 2' });
  });

  test('has logits of ids, and is inspected', async () => {
    const { positions } = await runJson<{ positions: { top: { id: number; token: string }[] }[] }>([
      'logits',
      '--model',
      model,
      '--ids',
      '2,1,0,0,1,2',
      '--top',
      '1',
    ]);
    expect(positions.at(-1)!.top).toMatchObject([{ id: 0, token: '0' }]);
    expect(await runJson(['inspect', model])).toMatchObject({ missing: null, model: { architecture: 'gpt2' } });
  });

  test.each([
    ['generate', ['hi'], 'give ids (--ids 1,2,3), put'],
    ['generate', [], 'give ids (--ids 1,2,3), put'],
    ['tokenize', ['hi'], "put the model's tokenizer.json into it"],
  ])('%s %j is told what to do', async (command, words, advice) => {
    const { exitCode, stderr } = await runCli([command, '--model', model, ...words]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`has no tokenizer.json, so a text has no tokens`);
    expect(stderr).toContain(advice);
  });
});
