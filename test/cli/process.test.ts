import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeWithFixture, fixture, ROOT } from '../support/fixtures.ts';
import { runCli } from './fake_io.ts';
import { CHAT_TEMPLATE, createTempFolder, tinyContent, withPair, writeGguf } from './model_files.ts';

/** The real program in a process of its own: what only a process has. Few of them, since each takes a while to start. */

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function start(argv: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...argv], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr }));
  });
  return { child, ended };
}

/** A story that takes a while: the float64 tier. */
const SLOW = ['--executor', 'naive64', '--temperature', '0', 'One day'];

describeWithFixture('stories260k', 'the golden text', () => {
  test('arrives byte for byte, and the figures on stderr', async () => {
    const model = fixture('stories260k', 'stories260K-f32.gguf');
    const { ended } = start(['generate', '--model', model, '--ids', '1', '--temperature', '0']);
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(0);
    expect(Buffer.compare(stdout, readFileSync(fixture('stories260k', 'golden-greedy.txt')))).toBe(0);
    expect(stderr).toMatch(/^1 prompt token at .*, 200 tokens generated at .*\n$/);
  });
});

describe('the process', () => {
  test('with several threads tells the same story, and ends', async () => {
    const story = ['generate', '--temperature', '0', '--max-tokens', '30', 'One day'];
    const one = await runCli(story);
    const several = await start([...story, '--threads', 'auto']).ended;
    expect([several.code, several.stdout.toString()]).toEqual([0, one.stdout]);
    const n = Math.min(8, availableParallelism());
    expect(several.stderr.includes(`, ${n} threads`)).toBe(n > 1);
  });

  test('Ctrl-C ends it between two tokens with exit code 130 and the figures', async () => {
    const { child, ended } = start(SLOW);
    child.stdout!.once('data', () => child.kill('SIGINT'));
    const { code, signal, stdout, stderr } = await ended;
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    expect(stdout.length).toBeGreaterThan(0);
    expect(stderr).toMatch(/^3 prompt tokens at .* generated at .*\n$/);
  });

  test('a reader that goes away ends it quietly', async () => {
    const { child, ended } = start(SLOW);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { code, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('standard input is a text', async () => {
    const { child, ended } = start(['tokenize', '--file', '-', '--json']);
    child.stdin!.end('Once there was');
    expect(JSON.parse((await ended).stdout.toString())).toMatchObject({ ids: [0, 440, 414, 298] });
  });

  test('standard input is a conversation, of which the last line may lack its end', async () => {
    const folder = await createTempFolder();
    try {
      const content = withPair(await tinyContent(), 'tokenizer.chat_template', 'string', CHAT_TEMPLATE);
      const model = await folder.put('chat.gguf', writeGguf(content));
      const { child, ended } = start(['chat', '--model', model, '--json', '-n', '3']);
      child.stdin!.end('Hello\nAnd you?');
      const { code, stdout, stderr } = await ended;
      expect([code, stdout.toString().trimEnd().split('\n')]).toEqual([0, [expect.any(String), expect.any(String)]]);
      expect(stderr).not.toContain('>');

      const damaged = start(['chat', '--model', model, '-n', '3']);
      damaged.child.stdin!.end(Buffer.from('gr\xfcn\n', 'latin1'));
      expect(await damaged.ended).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('standard input: is not UTF-8 text; convert it first'),
      });
    } finally {
      await folder.remove();
    }
  });

  test('a full disk is a failure', async (context) => {
    if (!existsSync('/dev/full')) context.skip('this system has no /dev/full');
    const main = join(ROOT, 'src', 'cli', 'main.ts');
    const child = spawn('sh', ['-c', `"${process.execPath}" --import tsx "${main}" tokenize hello > /dev/full`], {
      cwd: ROOT,
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: standard output: cannot be written \(ENOSPC: .*\); choose another place\n$/);
  });

  test('wrong usage is exit code 2', async () => {
    const { code, stdout, stderr } = await start(['--top-p', '7']).ended;
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: top-p is 7/);
  });
});
