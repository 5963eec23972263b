import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/fixtures.ts';
import { runCli } from './fake_io.ts';

/** `generate` with an encoder-decoder: the answer alone is printed, and flags about decoders are refused by name. */

const MODEL = ['--model', join(ROOT, 'test/goldens/t5/v1.1')];
const PROMPT = 'the red fox sat on a mat';

describe('generate with a T5', () => {
  test('prints the answer, and figures on stderr', async () => {
    const { exitCode, stdout, stderr } = await runCli(['generate', ...MODEL, '--temperature', '0', PROMPT]);
    expect([exitCode, stdout]).toEqual([0, 'kteu']);
    expect(stderr).toMatch(/8 prompt tokens .* 5 tokens generated/);
  });

  test('--ids and --json give what the text gives', async () => {
    const ids = '4,10,5,6,7,8,9,1';
    const { stdout } = await runCli([
      'generate',
      ...MODEL,
      '--temperature',
      '0',
      '--json',
      '--logprobs',
      '2',
      '--ids',
      ids,
    ]);
    const { text, finishReason, ids: generated, logprobs } = JSON.parse(stdout);
    expect([text, finishReason, generated]).toEqual(['kteu', 'eos', [23, 32, 17, 33, 1]]);
    expect(logprobs).toHaveLength(5);
  });

  test.each([
    [['--lookup', '2'], '--lookup does not go with an encoder-decoder'],
    [['--draft', 'embedded'], '--draft does not go with an encoder-decoder'],
    [['--beams', '2'], '--beams does not go with an encoder-decoder'],
    [['--raw'], '--raw does not go with an encoder-decoder'],
    [['--n', '2'], 'use "generate" with one prompt'],
    [['--kv', 'prefix'], 'contiguous or paged, not prefix'],
  ])('%s is refused', async (flags, message) => {
    const { exitCode, stdout, stderr } = await runCli(['generate', ...MODEL, ...flags, PROMPT]);
    expect(exitCode).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });

  test('from a GGUF file, which make-random writes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'glassformer-answers-'));
    const out = join(folder, 't5.gguf');
    const sizes = [
      '--layers',
      '1',
      '--dim',
      '32',
      '--heads',
      '2',
      '--kv-heads',
      '2',
      '--hidden',
      '32',
      '--vocab',
      '300',
    ];
    const made = await runCli(['make-random', '--arch', 't5', ...sizes, '--format', 'q8_0', '--out', out]);
    expect(made.exitCode, made.stderr).toBe(0);
    const flags = ['--temperature', '0', '--max-tokens', '3', '--json'];
    const { exitCode, stdout, stderr } = await runCli(['generate', '--model', out, ...flags, PROMPT]);
    expect(exitCode, stderr).toBe(0);
    expect(JSON.parse(stdout).ids.length).toBeGreaterThan(0);
    const refused = await runCli(['generate', '--model', out, '--lookup', '2', PROMPT]);
    expect(refused.stderr).toContain('--lookup does not go with an encoder-decoder');
    rmSync(folder, { recursive: true, force: true });
  });

  test('other commands name it', async () => {
    const { exitCode, stderr } = await runCli(['chat', ...MODEL]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('model_type is "t5", an encoder-decoder; use "generate"');
  });
});
