import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MetaArray } from '../../src/core/metadata.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, writeGguf } from './model_files.ts';

interface Result {
  readonly text: string;
  readonly ids: readonly number[];
  readonly speculation?: { readonly nRuns: number; readonly nProposed: number; readonly nAccepted: number };
}

const PROMPT = 'Tom had a red ball. Tom had a red ball. Tom';
const COMMON = ['generate', '--max-tokens', '20', '--seed', '4'];

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeAll(async () => {
  folder = await createTempFolder();
});
afterAll(() => folder.remove());

describe('generate --lookup and --draft', () => {
  test('give the text of the seed, and count', async () => {
    const plain = await runJson<Result>([...COMMON, PROMPT]);
    expect(plain.speculation).toBeUndefined();
    for (const flags of [
      ['--lookup', '3'],
      ['--draft', 'embedded', '--draft-tokens', '2'],
    ]) {
      const { text, ids, speculation } = await runJson<Result>([...COMMON, ...flags, PROMPT]);
      expect({ text, ids }).toEqual({ text: plain.text, ids: plain.ids });
      expect(speculation!.nProposed).toBeGreaterThan(0);
      expect(1 + speculation!.nRuns + speculation!.nAccepted).toBe(ids.length);
    }
    const { stderr } = await runCli([...COMMON, '--draft', 'embedded', PROMPT]);
    expect(stderr).toMatch(/\| 15 of 15 guesses right, \d+ runs \| seed 4/);
  });

  test('over windows and rounded rows give the text that these have without guesses', async () => {
    const flags = ['--kv', 'paged', '--window', '12', '--kv-type', 'q4_0'];
    const plain = await runJson<Result>([...COMMON, ...flags, PROMPT]);
    const ahead = await runJson<Result>([...COMMON, ...flags, '--lookup', '3', PROMPT]);
    expect(ahead.ids).toEqual(plain.ids);
    expect(ahead.speculation!.nAccepted).toBeLessThan(ahead.speculation!.nProposed);
  });

  test('refuse what cannot be', async () => {
    const refused = async (...flags: string[]) => {
      const { exitCode, stderr } = await runCli([...COMMON, ...flags, PROMPT]);
      return `${exitCode} ${stderr}`;
    };
    expect(await refused('--lookup', '3', '--draft', 'embedded')).toMatch(/^2 .*--lookup and --draft both guess/s);
    expect(await refused('--draft-tokens', '3')).toMatch(/^2 .*--draft-tokens needs --draft/s);
    expect(await refused('--lookup', '3', '--n', '2')).toMatch(/^2 .*about one sequence/s);
    expect(await refused('--lookup', '0')).toMatch(/^2 .*It must be at least 1/s);
    const late = ['--kv-type', 'q8_0', '--kv-recent', '64'];
    const missing = ['--model', 'no-such-model.gguf'];
    expect(await refused('--lookup', '3', ...late, ...missing)).toMatch(/^2 .*leave --kv-recent out, or the guesses/s);
    const evict = ['--kv-evict', 'importance', '--kv-budget', '64'];
    expect(await refused('--draft', 'embedded', ...evict, ...missing)).toMatch(/^2 .*leave --kv-evict out/s);
    const content = await tinyContent();
    const metadata = content.metadata.map(([key, type, value]) => {
      if (key !== 'tokenizer.ggml.tokens') return [key, type, value] as const;
      const tokens = value as MetaArray;
      const changed = Array.from(tokens.values, (token, id) => (id === 0 ? 'zebra' : token));
      return [key, type, { ...tokens, values: changed } as MetaArray] as const;
    });
    const other = await folder.put('tiny.gguf', writeGguf({ ...content, metadata }));
    expect(await refused('--draft', other)).toMatch(/^1 .*its token 0 is "zebra", the model's is "/s);
  });
});
