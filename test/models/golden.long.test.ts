import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeWithFixture, fixture, ROOT, readFixtureJson } from '../support/fixtures.ts';
import { greedy, NAIVE_TIERS, named, tierName, WASM_TIERS } from '../support/greedy.ts';

/** The stories of golden.test.ts as a user has them written, token by token, on the plain tiers. */

describe('embedded model', () => {
  test.each(named(NAIVE_TIERS))('%s writes the golden story', async (_, options) => {
    const golden = JSON.parse(readFileSync(join(ROOT, 'src/embedded/lm/golden.json'), 'utf8'));
    const made = await greedy('embedded', options, golden.prompt_ids, golden.greedy_ids.length);
    expect(made).toEqual({ ids: golden.greedy_ids, text: golden.greedy_text });
  });
});

describeWithFixture('stories260k', 'stories260K', () => {
  const golden = (): { prompt_ids: number[]; ids: number[]; q8_0: { ids: number[] } } =>
    readFixtureJson('stories260k', 'golden-greedy.json');

  describe.each([
    ['GGUF', fixture('stories260k', 'stories260K-f32.gguf')],
    ['Hugging Face folder', fixture('stories260k')],
  ])('%s', (_what, path) => {
    test.each(named(NAIVE_TIERS))('%s writes the published text byte for byte', async (_, o) => {
      const { prompt_ids, ids } = golden();
      const text = readFileSync(fixture('stories260k', 'golden-greedy.txt'), 'utf8');
      expect(await greedy(path, o, prompt_ids, ids.length)).toEqual({ ids, text });
    });
  });

  test.each(named(NAIVE_TIERS))('Q8_0: %s gives the stored ids', async (_, o) => {
    const { prompt_ids, q8_0 } = golden();
    const path = fixture('stories260k', 'stories260K-q8_0.gguf');
    expect((await greedy(path, o, prompt_ids, q8_0.ids.length)).ids).toEqual(q8_0.ids);
  });
});

describeWithFixture('tinystories-656k', 'TinyStories-656K', () => {
  type Golden = { readonly prompt_ids: number[] } & { readonly [format: string]: { readonly ids: number[] } };
  const golden = (): Golden => readFixtureJson('tinystories-656k', 'golden.json');
  const path = (format: string): string => fixture('tinystories-656k', `tinystories-656k-${format}.gguf`);

  describe.each(['f32', 'f16', 'q8_0', 'q4_0'])('%s', (format) => {
    const tiers = NAIVE_TIERS.filter((o) => o.executor === 'naive64' || format.startsWith('f'));
    test.each(named(tiers))('%s gives the stored ids', async (_, o) => {
      const { ids } = golden()[format]!;
      expect((await greedy(path(format), o, golden().prompt_ids, ids.length)).ids).toEqual(ids);
    });
  });

  test.each(['q8_0', 'q4_0'])('%s: every tier and build writes the same text with q8 activations', async (format) => {
    const [naive, ...others] = [{ executor: 'naive' } as const, ...WASM_TIERS];
    const write = (o: typeof naive | (typeof others)[number]) =>
      greedy(path(format), { ...o, activations: 'q8' }, golden().prompt_ids, 60);
    const expected = await write(naive!);
    for (const o of others) expect(await write(o), tierName(o)).toEqual(expected);
  });
});
