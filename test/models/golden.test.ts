import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Tier } from '../../src/exec/executor.ts';
import { loadModel } from '../../src/index.node.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { describeWithFixture, fixture, ROOT, readFixtureJson } from '../support/fixtures.ts';
import {
  type Generated,
  greedy,
  greedyInOnePass,
  NAIVE_TIERS,
  named,
  tierName,
  WASM_TIERS,
} from '../support/greedy.ts';

/** Real models: wasm writes the stories token by token; the plain tiers are asked for all tokens in one run, and write them in golden.long.test.ts. */

/** The stored float64 logits [T, vocab] of a fixture. */
async function storedLogits(path: string): Promise<Float64Array> {
  const file = await openSafetensors(bufferSource(path, readFileSync(path)));
  const info = file.tensors.get('logits')!;
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  await file.close();
  return new Float64Array(bytes.buffer);
}

/** Largest |a - b|; NaN anywhere gives NaN, which fails every comparison. */
function maxDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  let max = 0;
  for (let i = 0; i < a.length; i++) max = Math.max(max, Math.abs(a[i]! - b[i]!));
  return max;
}

/** What the issuers of the goldens promise for a float64 pass over the same weights. */
const FLOAT64_AGREEMENT = 1e-9;

describe('embedded model', () => {
  const golden = JSON.parse(readFileSync(join(ROOT, 'src/embedded/lm/golden.json'), 'utf8')) as {
    prompt: string;
    prompt_ids: number[];
    greedy_ids: number[];
    greedy_text: string;
    first_positions: { position: number; input_id: number; top5: [number, number][] }[];
  };

  test('its tokenizer gives the golden prompt ids', async () => {
    await using model = await loadModel('embedded', { executor: 'naive' });
    expect(model.tokenize(golden.prompt)).toEqual(golden.prompt_ids);
  });

  test.each(named(NAIVE_TIERS))('%s: the golden story is its greedy one', async (_, options) => {
    const { prompt_ids, greedy_ids } = golden;
    expect((await greedyInOnePass('embedded', options, prompt_ids, greedy_ids)).ids).toEqual(greedy_ids);
  });

  test.each(named(WASM_TIERS))('%s writes the golden story', async (_, options) => {
    const { ids, text } = await greedy('embedded', options, golden.prompt_ids, golden.greedy_ids.length);
    expect(ids).toEqual(golden.greedy_ids);
    expect(text).toBe(golden.greedy_text);
  });

  test('naive64 gives the golden logits of the first positions', async () => {
    await using model = await loadModel('embedded', { executor: 'naive64' });
    const ids = golden.first_positions.map((p) => p.input_id);
    const { vocab, data } = await model.logits(ids);
    for (const { position, top5 } of golden.first_positions) {
      const row = data.subarray(position * vocab, (position + 1) * vocab);
      const byLogit = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]!);
      expect(byLogit.slice(0, top5.length)).toEqual(top5.map(([id]) => id));
      const distance = maxDistance(
        top5.map(([id]) => row[id]!),
        top5.map(([, logit]) => logit),
      );
      expect(distance).toBeLessThanOrEqual(FLOAT64_AGREEMENT);
    }
  });
});

describeWithFixture('stories260k', 'stories260K', () => {
  const f32 = fixture('stories260k', 'stories260K-f32.gguf');
  const q8 = fixture('stories260k', 'stories260K-q8_0.gguf');
  const folder = fixture('stories260k');
  const golden = (): { prompt_ids: number[]; ids: number[]; q8_0: { ids: number[] } } =>
    readFixtureJson('stories260k', 'golden-greedy.json');
  const goldenText = (): string => readFileSync(fixture('stories260k', 'golden-greedy.txt'), 'utf8');

  for (const [what, path] of [
    ['GGUF', f32],
    ['Hugging Face folder', folder],
  ] as const) {
    test.each(named(WASM_TIERS))(`${what}: %s writes the published text byte for byte`, async (_, o) => {
      const { prompt_ids, ids } = golden();
      const made = await greedy(path, o, prompt_ids, ids.length);
      expect(made.ids).toEqual(ids);
      expect(made.text).toBe(goldenText());
    });

    test.each(named(NAIVE_TIERS))(`${what}: %s: the published text is its greedy one`, async (_, o) => {
      const { prompt_ids, ids } = golden();
      const made = await greedyInOnePass(path, o, prompt_ids, ids);
      expect(made.ids).toEqual(ids);
      if (o.executor !== 'naive64') return;
      const stored = await storedLogits(fixture('stories260k', 'golden-logits.safetensors'));
      expect(maxDistance(made.logits, stored), 'the golden logits').toBeLessThanOrEqual(FLOAT64_AGREEMENT);
    });
  }

  test.each(named(NAIVE_TIERS))('Q8_0: %s: the stored ids are its greedy ones', async (_, o) => {
    const { prompt_ids, q8_0 } = golden();
    expect((await greedyInOnePass(q8, o, prompt_ids, q8_0.ids)).ids).toEqual(q8_0.ids);
  });

  test.each(named(WASM_TIERS))('Q8_0: %s gives the stored ids', async (_, o) => {
    const { prompt_ids, q8_0 } = golden();
    expect((await greedy(q8, o, prompt_ids, q8_0.ids.length)).ids).toEqual(q8_0.ids);
  });
});

describeWithFixture('tinystories-656k', 'TinyStories-656K', () => {
  interface Golden {
    readonly prompt: string;
    readonly prompt_ids: number[];
    readonly text: string;
    readonly [file: string]: unknown;
  }
  const golden = (): Golden => readFixtureJson('tinystories-656k', 'golden.json');
  const path = (format: string): string => fixture('tinystories-656k', `tinystories-656k-${format}.gguf`);
  const idsOf = (g: Golden, format: string): number[] => (g[format] as { ids: number[] }).ids;

  const sources: readonly (readonly [string, string, string])[] = [
    ['safetensors folder', fixture('tinystories-656k'), 'f32'],
    ['safetensors file beside its config', fixture('tinystories-656k', 'model.safetensors'), 'f32'],
    ['F32 GGUF', path('f32'), 'f32'],
    ['F16 GGUF', path('f16'), 'f16'],
  ];
  for (const [what, source, key] of sources) {
    test.each(named(WASM_TIERS))(`${what}: %s gives the golden ids`, async (_, o) => {
      const g = golden();
      const want = idsOf(g, key);
      const made = await greedy(source, o, g.prompt_ids, want.length);
      expect(made.ids).toEqual(want);
      expect(g.text.endsWith(made.text)).toBe(true); // F16 gives the ids of F32 here
    });

    test.each(named(NAIVE_TIERS))(`${what}: %s: the golden ids are its greedy ones`, async (_, o) => {
      const g = golden();
      const want = idsOf(g, key);
      const made = await greedyInOnePass(source, o, g.prompt_ids, want);
      expect(made.ids).toEqual(want);
      if (o.executor !== 'naive64' || key !== 'f32') return;
      const stored = await storedLogits(fixture('tinystories-656k', 'golden-logits.safetensors'));
      expect(maxDistance(made.logits, stored), 'the golden logits').toBeLessThanOrEqual(FLOAT64_AGREEMENT);
    });
  }

  test.each(['q8_0', 'q4_0'])('%s: naive64: the stored ids are its greedy ones', async (format) => {
    const g = golden();
    const want = idsOf(g, format);
    expect((await greedyInOnePass(path(format), { executor: 'naive64' }, g.prompt_ids, want)).ids).toEqual(want);
  });

  test.each(['q8_0', 'q4_0'])('%s: every build writes the same sensible text with q8 activations', async (format) => {
    const g = golden();
    const runs: Generated[] = [];
    for (const o of WASM_TIERS) {
      runs.push(await greedy(path(format), { ...o, activations: 'q8' }, g.prompt_ids, 60));
    }
    const [{ ids, text }] = runs as [Generated];
    for (const run of runs) expect(run).toEqual(runs[0]);
    const naive = await greedyInOnePass(path(format), { executor: 'naive', activations: 'q8' }, g.prompt_ids, ids);
    expect(naive.ids).toEqual(ids);
    // Sensible: words of children's stories, hardly any that the F32 model's own text and prompt do not have the kind of.
    const words = text.toLowerCase().match(/[a-z']+/g) ?? [];
    expect(words.length).toBeGreaterThan(30);
    expect(words.filter((w) => w === 'the' || w === 'to' || w === 'he' || w === 'and').length).toBeGreaterThan(5);
  });
});

describeWithFixture('embedded-lm-f16', 'embedded model in F16', () => {
  // The naive tiers run F16 above; here only the fast one, since four of these take a quarter of a minute each in plain loops.
  test.each([
    ['GGUF, pairs', 'model.f16.gguf'],
    ['Hugging Face folder, halves', ''],
  ] as const)('%s: the golden ids', async (_, file) => {
    const golden = readFixtureJson<{ prompt_ids: number[]; greedy_ids: number[] }>('embedded-lm-f16', 'golden.json');
    for (const o of WASM_TIERS) {
      const made = await greedy(fixture('embedded-lm-f16', file), o, golden.prompt_ids, golden.greedy_ids.length);
      expect(made.ids, tierName(o)).toEqual(golden.greedy_ids);
    }
  });
});

/** Keeps the union in step: a tier without a golden test would be noticed here. */
test('all tiers are covered', () => {
  const all: Record<Tier, true> = { naive64: true, naive: true, wasm: true }; // the compiler asks for a new one here
  expect(new Set([...NAIVE_TIERS, ...WASM_TIERS].map((o) => o.executor))).toEqual(new Set(Object.keys(all)));
});
