import { describe, expect, test } from 'vitest';
import { run } from '../../src/cli/run.ts';
import type { Beam } from '../../src/engine/generate.ts';
import { createFakeIo, runCli, runJson } from './fake_io.ts';

const COMMON = ['generate', '--max-tokens', '12', 'The fox saw'];

describe('generate --beams', () => {
  test('prints the best text; --json has all, best first', async () => {
    const { text, ids, beams } = await runJson<{ text: string; ids: number[]; beams: Beam[] }>([
      ...COMMON,
      ...['--beams', '3', '--length-penalty', '0.5'],
    ]);
    expect(beams).toHaveLength(3);
    expect(beams[0]).toMatchObject({ text, ids });
    const scores = beams.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    const { stdout, stderr } = await runCli([...COMMON, '--beams', '3', '--length-penalty', '0.5', '--kv', 'paged']);
    expect(stdout).toBe(text);
    expect(stderr).not.toContain('seed');
  });

  test('Ctrl-C gives the best text so far, as if no more tokens had been asked for', async () => {
    const search = (maxTokens: number): string[] => [
      ...['generate', '--max-tokens', String(maxTokens), '--beams', '3', 'The fox saw'],
    ];
    const io = createFakeIo();
    let nChecks = 0;
    io.signal.throwIfAborted = () => {
      nChecks++;
    };
    await run(search(6), io);
    // The last check is that of the run of the whole text, those before it are of the search's steps.
    const whole = await runCli(search(6), { interruptAtCheck: nChecks });
    expect(whole).toMatchObject({ exitCode: 130, stdout: io.written.stdout });
    const part = await runCli(search(6), { interruptAtCheck: nChecks - 2 });
    expect(part.exitCode).toBe(130);
    expect(part.stdout).toBe((await runCli(search(4))).stdout);
    expect(part.stderr).toMatch(/^5 prompt tokens at .*, 4 tokens generated at /);
    const { exitCode, stdout } = await runCli([...search(6), '--json'], { interruptAtCheck: nChecks - 5 });
    expect(exitCode).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ finishReason: 'interrupted', timings: { genTokens: 1 } });
  });

  test('refuses what does not fit', async () => {
    const refused = async (...flags: string[]) => {
      const { exitCode, stderr } = await runCli([...COMMON, ...flags]);
      return `${exitCode} ${stderr}`;
    };
    for (const flags of [
      ['--top-k', '3'],
      ['--temperature', '0'],
      ['--seed', '1'],
      ['--n', '2'],
      ['--lookup', '2'],
      ['--logprobs', '1'],
    ]) {
      expect(await refused('--beams', '2', ...flags)).toMatch(new RegExp(`^2 .*${flags[0]} does not fit --beams`, 's'));
    }
    expect(await refused('--beams', '0')).toMatch(/^2 .*at least 1/s);
    expect(await refused('--length-penalty', '1')).toMatch(/^2 .*--length-penalty needs --beams/s);
    expect(await refused('--beams', '2', '--length-penalty', '99')).toMatch(/^2 .*must lie in -10\.\.10/s);
    const { stderr } = await runCli(['generate', '--file', 'prompts.jsonl', '--beams', '2']);
    expect(stderr).toContain('--beams is about one prompt; leave out the .jsonl file');
  });
});
