import { afterAll, beforeAll, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { ggufLora, randomPair } from '../support/lora_cases.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, writeGguf } from './model_files.ts';

/** --lora and --lora-merge on the commands that run a model. */

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: string;
let adapter: string;
beforeAll(async () => {
  folder = await createTempFolder();
  const bytes = writeGguf(await tinyContent());
  tiny = await folder.put('tiny.gguf', bytes);
  const { tensors } = await openGguf(bufferSource('tiny.gguf', bytes));
  const pairs = ['blk.0.attn_q.weight', 'blk.0.attn_v.weight', 'blk.0.ffn_down.weight'].map((name, i) => {
    const [out, nIn] = tensors.get(name)!.shape as [number, number];
    return [name, randomPair(4, nIn, out, i)] as const;
  });
  adapter = await folder.put('style.gguf', ggufLora(new Map(pairs)));
});
afterAll(() => folder.remove());

interface Json {
  positions: { top: { id: number; logit: number }[] }[];
}

const logits = (...flags: string[]) =>
  runJson<Json>(['logits', '--model', tiny, '--ids', '0,305,318', '--activations', 'f32', ...flags]);

test('an adapter changes the logits, by its scale; half twice is once, and 0 is none', async () => {
  const plain = await logits();
  const once = await logits('--lora', adapter);
  expect(once).not.toEqual(plain);
  expect(await logits('--lora', `${adapter}:1`)).toEqual(once);
  expect(await logits('--lora', `${adapter}:2.5`)).not.toEqual(once);
  expect(await logits('--lora', `${adapter}:0`)).toEqual(plain);
  expect(await logits('--lora', adapter, '--executor', 'naive')).toEqual(once);
  const twice = await logits('--lora', `${adapter}:0.5`, '--lora', `${adapter}:.5`, '--executor', 'naive64');
  const exact = await logits('--lora', adapter, '--executor', 'naive64');
  const top = ({ positions }: Json) => positions.map((position) => position.top.map(({ id }) => id));
  expect(top(twice)).toEqual(top(exact));
});

test('compare, generate and chat take it', async () => {
  const { exitCode, stdout } = await runCli([
    'compare',
    '--model',
    tiny,
    '--lora',
    `${adapter}:-0.5`,
    '--ids',
    '0,305',
  ]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^equal bits, \d+ tensors/);
  const generate = (...flags: string[]) =>
    runCli(['generate', '--model', tiny, '--temperature', '0', '--max-tokens', '8', '--ids', '0,305', ...flags]);
  const [plain, changed] = [await generate(), await generate('--lora', `${adapter}:4`)];
  expect([plain.exitCode, changed.exitCode]).toEqual([0, 0]);
  expect(changed.stdout).not.toBe(plain.stdout);
  expect((await runCli(['chat', '--help'])).stdout).toContain('--lora <file[:scale]>');
});

test('what cannot be done is said', async () => {
  const { exitCode, stderr } = await runCli([
    'logits',
    '--model',
    tiny,
    '--lora',
    adapter,
    '--lora-merge',
    '--ids',
    '0',
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/error: tensor "blk\.0\.attn_q\.weight" is q8_0: only f32, f16, bf16 can be merged/);
  const alone = await runCli(['logits', '--model', tiny, '--lora-merge', '--ids', '0']);
  expect([alone.exitCode, alone.stderr]).toEqual([2, expect.stringContaining('no adapter is given')]);
  const missing = await runCli(['logits', '--model', tiny, '--lora', 'nowhere.gguf:2', '--ids', '0']);
  expect(missing.exitCode).toBe(1);
  expect(missing.stderr).toContain('lora "nowhere.gguf": there is no such file or folder');
});
