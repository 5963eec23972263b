import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesPerToken, fittingCounts, median } from '../../src/cli/bench.ts';
import { loadModel } from '../../src/index.node.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, writeGguf } from './model_files.ts';

interface Json {
  prefill: { tokens: number; ms: number; tokensPerSecond: number };
  decode: { tokens: number; ms: number; tokensPerSecond: number; bytesPerSecond: number };
  loadMs: number;
  peakRssBytes: number;
  kernels: string;
  threads: number;
  host: string;
}

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: string;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await folder.put('tiny.gguf', writeGguf(await tinyContent()));
});
afterAll(() => folder.remove());

describe('bench', () => {
  test('--json has the figures, and they fit each other', async () => {
    const json = await runJson<Json>(['bench', '--model', tiny, '--prompt-tokens', '20', '--gen-tokens', '6']);
    expect(Object.keys(json)).toEqual([
      ...['prefill', 'decode', 'loadMs', 'peakRssBytes', 'kernels', 'threads', 'host'],
    ]);
    const { prefill, decode } = json;
    expect([prefill.tokens, decode.tokens, json.threads]).toEqual([20, 6, 1]);
    expect(Object.keys(prefill)).toEqual(['tokens', 'ms', 'tokensPerSecond']);
    expect(Object.keys(decode)).toEqual(['tokens', 'ms', 'tokensPerSecond', 'bytesPerSecond']);
    expect(prefill.tokensPerSecond).toBe((1000 * 20) / prefill.ms);
    expect(decode.tokensPerSecond).toBe((1000 * 6) / decode.ms);
    // q, k, v, attention output; gate, up, down; the tied output: Q8_0, 34 bytes for 32 weights
    const bytes = ((32 * 32 + 2 * 16 * 32 + 32 * 32 + 3 * 64 * 32 + 1024 * 32) / 32) * 34;
    expect(decode.bytesPerSecond).toBe((1000 * (6 * bytes)) / decode.ms);
    expect(json.kernels).toMatch(/^wasm /);
    expect(json.host).toMatch(/^node v\d+/);
    for (const n of [json.loadMs, json.peakRssBytes, prefill.ms, decode.ms]) expect(n).toBeGreaterThan(0);
  });

  test('for people, and with the defaults of a short context', async () => {
    const { exitCode, stdout } = await runCli(['bench', '--model', tiny, '--repeat', '1']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /prefill +48 tokens in .* tokens\/s\ndecode +48 tokens in .* tokens\/s, .*B\/s of weights\n/,
    );
  });

  test('counts that do not fit are refused before anything runs', async () => {
    const { exitCode, stderr } = await runCli(['bench', '--model', tiny, '--prompt-tokens', '90', '--gen-tokens', '7']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('90 prompt tokens and 7 after them do not fit maxSeq=96');
  });

  test('Ctrl-C in any place', async () => {
    const argv = ['bench', '--model', tiny, '--prompt-tokens', '4', '--gen-tokens', '2', '--repeat', '1'];
    for (let check = 1; ; check++) {
      const { exitCode, stdout } = await runCli(argv, { interruptAtCheck: check });
      if (exitCode === 0) break;
      expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' });
    }
  });
});

test('the default counts fit any context of two positions and more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 2000 }), fc.option(fc.integer({ min: 1, max: 900 })), (maxSeq, prompt) => {
      fc.pre(prompt === null || prompt < maxSeq);
      const counts = fittingCounts(prompt === null ? {} : { promptTokens: prompt }, maxSeq);
      expect(counts.promptTokens + counts.genTokens).toBeLessThanOrEqual(maxSeq);
      expect(Math.min(counts.promptTokens, counts.genTokens)).toBeGreaterThanOrEqual(1);
      if (maxSeq >= 640 && prompt === null) expect(counts).toEqual({ promptTokens: 512, genTokens: 128 });
    }),
  );
});

test('a merged matrix counts as its parts', async () => {
  await using plain = await loadModel(tiny, { disabledPasses: ['merge_qkv'] });
  await using merged = await loadModel(tiny);
  expect(bytesPerToken(merged.executor.graph)).toBe(bytesPerToken(plain.executor.graph));
});

test('median', () => {
  expect([median([3]), median([9, 1, 5]), median([4, 1, 100, 2])]).toEqual([3, 5, 3]);
});
