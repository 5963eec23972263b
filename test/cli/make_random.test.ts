import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT } from '../support/fixtures.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder } from './model_files.ts';

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeEach(async () => {
  folder = await createTempFolder();
});
afterEach(() => folder.remove());

const TINY = ['--layers', '1', '--dim', '64', '--heads', '2', '--kv-heads', '1', '--hidden', '64', '--vocab', '300'];
/** More than one chunk. */
const LARGER = ['--layers', '1', '--vocab', '9000'];

function make(name: string, ...flags: string[]): string[] {
  return ['make-random', '--out', join(folder.path, name), ...flags];
}

test('equal flags give equal files, which run', async () => {
  const made = await runJson(make('a.gguf', ...TINY, '--seed', '7', '--format', 'q8_0'));
  await runCli(make('b.gguf', ...TINY, '--seed', '7', '--format', 'q8_0'));
  await runCli(make('c.gguf', ...TINY, '--seed', '8', '--format', 'q8_0'));
  const [a, b, c] = ['a.gguf', 'b.gguf', 'c.gguf'].map((name) => readFileSync(join(folder.path, name)));
  expect(Buffer.compare(a!, b!)).toBe(0);
  expect(Buffer.compare(a!, c!)).not.toBe(0);
  expect(made).toEqual({
    out: join(folder.path, 'a.gguf'),
    bytes: a!.length,
    parameters: 43_968,
    architecture: 'llama',
    format: 'q8_0',
    seed: 7,
  });
  const { stdout } = await runCli(['tokenize', '--model', join(folder.path, 'a.gguf'), '--json', 'Hi']);
  expect(stdout).toContain('"ids":[1,');
  const run = ['generate', '--model', join(folder.path, 'a.gguf'), '--max-tokens', '3', '--temperature', '0', 'Hi'];
  expect(await runCli(run)).toMatchObject({ exitCode: 0 });
});

test('people are told what was written, on stderr', async () => {
  const { stdout, stderr } = await runCli(make('a.gguf', ...TINY));
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^wrote .*a\.gguf: llama, 0\.0440 million parameters in q4_0, 3\d\.\d kB\n$/);
});

test('a file that is there is replaced with --force only', async () => {
  await folder.put('a.gguf', 'precious');
  const path = join(folder.path, 'a.gguf');
  const refused = await runCli(make('a.gguf', ...TINY));
  expect(refused).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/is there already; --force replaces it/),
  });
  expect(readFileSync(path, 'utf8')).toBe('precious');
  expect(await runCli(make('a.gguf', ...TINY, '--force'))).toMatchObject({ exitCode: 0 });
  expect(readFileSync(path, 'latin1').slice(0, 4)).toBe('GGUF');
});

test('a folder is not replaced, and a missing one not made', async () => {
  expect(await runCli(make('', ...TINY, '--force'))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/is not a file and cannot be replaced by one/),
  });
  expect(await runCli(make('no/a.gguf', ...TINY))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/cannot be written/),
  });
  expect(readdirSync(folder.path)).toEqual([]);
});

test('Ctrl-C leaves nothing, and keeps the older file', async () => {
  expect(await runCli(make('a.gguf', ...LARGER), { interruptAtCheck: 3 })).toMatchObject({ exitCode: 130 });
  expect(readdirSync(folder.path)).toEqual([]);
  await folder.put('a.gguf', 'precious');
  await runCli(make('a.gguf', ...LARGER, '--force'), { interruptAtCheck: 3 });
  expect(readdirSync(folder.path)).toEqual(['a.gguf']);
  expect(statSync(join(folder.path, 'a.gguf')).size).toBe(8);
});

test('no room is an error that says so, and leaves nothing', async ({ skip }) => {
  skip(process.platform === 'win32', 'Windows has no limit on the size of a file');
  // A file may have 2048 blocks of half a kB, or of one: as on a full disk, what is written behind them fails.
  const argv = ['--import', 'tsx', 'src/cli/main.ts', ...make('a.gguf', ...LARGER)];
  const shell = ['-c', 'ulimit -f 2048 && exec "$0" "$@"', process.execPath, ...argv];
  const { status, stderr } = spawnSync('sh', shell, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  expect(stderr).toMatch(
    /^error: .*a\.gguf: no room for [\d.]+ [kM]B after the first [\d.]+ [kM]?B \(EFBIG\); make room on the disk/m,
  );
  expect(status).toBe(1);
  expect(readdirSync(folder.path)).toEqual([]);
});

test('a progress bar is shown on a terminal', async () => {
  let clock = 0;
  const now = () => (clock += 2000); // each look at it finds that two seconds have gone by
  const { stderr } = await runCli(make('a.gguf', ...LARGER), { isStderrTerminal: true, now });
  expect(stderr).toMatch(/writing \[#+\.*\] +\d+% {2}[\d.]+ MB of [\d.]+ MB/);
  expect(stderr).toContain('\r\x1b[Kwrote ');
});

test.each([
  [['--format', 'q9_0'], /argument 'q9_0' is invalid/],
  [['--arch', 'gpt9'], /argument 'gpt9' is invalid/],
  [['--shape', '9b'], /argument '9b' is invalid/],
  [['--seed', '4294967296'], /seed is 4294967296, must be an integer in 0\.\.2\^32 - 1/],
  [['--layers', '0'], /must be at least 1/],
  [['--vocab', '10'], /vocab is 10, must be at least 259/],
  [['--dim', '100'], /dim is 100/],
  [['--format', 'q4_k'], /rows of 576, which are not whole blocks of 256 \(q4_k\)/],
])('%s is wrong usage', async (flags, message) => {
  const { exitCode, stderr } = await runCli(make('a.gguf', ...flags));
  expect([exitCode, stderr]).toEqual([2, expect.stringMatching(message)]);
  expect(readdirSync(folder.path)).toEqual([]);
});

test('without --out there is nothing to do', async () => {
  expect(await runCli(['make-random'])).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--out <path>/) });
});
