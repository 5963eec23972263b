import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Tier } from '../../src/exec/executor.ts';
import { loadModel } from '../../src/index.node.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, writeGguf } from './model_files.ts';

interface Json {
  positions: { top: { id: number; token: string; logit: number; logprob: number }[] }[];
}

/** Longer than the piece that is run at once, so that pieces meet. */
const IDS = Array.from({ length: 70 }, (_, t) => 16 + ((t * 37) % 1000));

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: string;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await folder.put('tiny.gguf', writeGguf(await tinyContent()));
});
afterAll(() => folder.remove());

async function logitsByLibrary(executor: Tier) {
  await using model = await loadModel(tiny, { executor });
  return (await model.logits(IDS)).data;
}

describe('logits', () => {
  test('--json lists the likeliest tokens after every position, with log-probabilities that add up', async () => {
    const all = await logitsByLibrary('wasm');
    const { positions } = await runJson<Json>(['logits', '--model', tiny, '--ids', IDS.join(','), '--top', '1024']);
    expect(positions).toHaveLength(IDS.length);
    positions.forEach(({ top }, t) => {
      const row = all.subarray(t * 1024, (t + 1) * 1024);
      expect(top.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(Array.from(row, (_, id) => id));
      for (const { id, logit } of top) expect(Object.is(logit, row[id])).toBe(true);
      for (let i = 1; i < top.length; i++) expect(top[i - 1]!.logit).toBeGreaterThanOrEqual(top[i]!.logit);
      // Each exp and each addition errs by 2^-52 at most, relatively, and there are 1024 of them.
      const sum = top.reduce((s, { logprob }) => s + Math.exp(logprob), 0);
      expect(Math.abs(sum - 1) <= 4 * 1024 * 2 ** -52).toBe(true);
    });
  });

  test('five tokens are listed where no number is given, none with --top 0', async () => {
    const { positions } = await runJson<Json>(['logits', '--model', tiny, 'One day']);
    expect(positions.map(({ top }) => top.length)).toEqual([5, 5, 5]);
    const none = await runJson<Json>(['logits', '--model', tiny, '--top', '0', 'One day']);
    expect(none.positions).toEqual([{ top: [] }, { top: [] }, { top: [] }]);
  });

  test('for people: a line for each position', async () => {
    const { exitCode, stdout } = await runCli(['logits', '--model', tiny, '--top', '2', 'One day']);
    expect(exitCode).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^position +id +token +after it \(logit\)$/);
    expect(lines[1]).toMatch(/^ +0 +0 {2}"<\|bos\|>" {2}"[^"]*" -?[\d.]+ +"[^"]*" -?[\d.]+$/);
  });

  test.each([
    ['wasm', 'f32'],
    ['naive', 'f32'],
    ['naive64', 'f64'],
  ] as const)('--out of %s is a safetensors file of %s', async (executor, type) => {
    const out = join(folder.path, `${executor}.safetensors`);
    const argv = ['logits', '--model', tiny, '--executor', executor, '--ids', IDS.join(','), '--out', out];
    const { exitCode, stderr } = await runCli(argv);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: `wrote logits [70, 1024] to ${out}\n` });
    const file = await openSafetensors(bufferSource(out, new Uint8Array(await readFile(out))));
    expect([...file.tensors.keys()]).toEqual(['logits']);
    const info = file.tensors.get('logits')!;
    expect(info).toMatchObject({ type, shape: [70, 1024] });
    const bytes = new Uint8Array(info.nBytes);
    await info.source.read(info.offset, bytes);
    const expected = await logitsByLibrary(executor);
    expect(Buffer.compare(bytes, new Uint8Array(expected.buffer, expected.byteOffset, expected.byteLength))).toBe(0);
  });
});

describe('the file of --out is whole or not there', () => {
  test('an older file stays until the new one is complete, and no part is left', async () => {
    const out = await folder.put('older.safetensors', 'older');
    const argv = ['logits', '--model', tiny, '--ids', '0,5', '--out', out];
    let nInterrupted = 0;
    for (let check = 1; ; check++) {
      const { exitCode } = await runCli(argv, { interruptAtCheck: check });
      if (exitCode === 0) break;
      expect(exitCode).toBe(130);
      expect(await readFile(out, 'utf8')).toBe('older');
      nInterrupted++;
    }
    expect(nInterrupted).toBeGreaterThan(0);
    expect((await readFile(out)).length).toBeGreaterThan(2 * 1024 * 4);
    expect((await readdir(folder.path)).filter((name) => name.includes('.part'))).toEqual([]);
  });

  test('a folder that is not there is known, and named', async () => {
    const out = join(folder.path, 'no', 'such', 'out.safetensors');
    const { exitCode, stderr } = await runCli(['logits', '--model', tiny, '--ids', '0', '--out', out]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${out}: cannot be written (ENOENT`);
  });
});
