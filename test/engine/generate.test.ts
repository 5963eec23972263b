import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GenerateOptions, Piece, Summary } from '../../src/engine/generate.ts';
import type { Model, Prompt } from '../../src/engine/model.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { loadModel } from '../../src/index.node.ts';

let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded');
});
afterAll(() => model.dispose());

async function all(prompt: Prompt, options: GenerateOptions, from = model) {
  const pieces: Piece[] = [];
  const stream = from.generate(prompt, options);
  for (;;) {
    const step = await stream.next();
    if (step.done) return { pieces, summary: step.value as Summary, text: pieces.map((p) => p.text).join('') };
    pieces.push(step.value);
  }
}

const PROMPT = 'Once upon a time';

describe('generate', () => {
  test('ends at maxTokens and says so', async () => {
    const { pieces, summary, text } = await all(PROMPT, { maxTokens: 9, temperature: 0 });
    expect(pieces).toHaveLength(9);
    expect(summary).toMatchObject({ finishReason: 'length', promptTokens: 5, genTokens: 9 });
    expect(text).toBe(', there was a little girl named Lily.');
  });

  test('ends before a stop string, even one that is spread over tokens, and never shows a part of it', async () => {
    const { summary, text, pieces } = await all(PROMPT, { maxTokens: 60, temperature: 0, stop: ['y. She lo', 'zzz'] });
    expect(text).toBe(', there was a little girl named Lil');
    expect(summary.finishReason).toBe('stop');
    expect(pieces.every((p) => !p.text.includes('y.'))).toBe(true);
  });

  test('ends at a stop id, which adds no text', async () => {
    const plain = await all(PROMPT, { maxTokens: 9, temperature: 0 });
    const id = plain.pieces[3]!.id;
    const { summary, pieces, text } = await all(PROMPT, { maxTokens: 9, temperature: 0, stopIds: [id] });
    expect(summary.finishReason).toBe('stop');
    expect(pieces.at(-1)).toMatchObject({ id, text: '' });
    expect(text).toBe(
      plain.pieces
        .slice(0, 3)
        .map((p) => p.text)
        .join(''),
    );
  });

  test('ends at the end token, which adds no text', async () => {
    const { summary, pieces, text } = await all(PROMPT, {
      maxTokens: 20,
      temperature: 0,
      logitBias: new Map([[1, 1e6]]),
    });
    expect(summary.finishReason).toBe('eos');
    expect(pieces.map((p) => p.id)).toEqual([1]);
    expect(text).toBe('');
  });

  test('ends where the context is full', async () => {
    await using small = await loadModel('embedded', { maxSeq: 8 });
    const { summary, pieces } = await all(PROMPT, { temperature: 0 }, small);
    expect(summary.finishReason).toBe('context');
    expect(pieces).toHaveLength(4); // 5 prompt tokens, 3 more run, and the one sampled after them
  });

  test('a prompt longer than the context is refused', async () => {
    await using small = await loadModel('embedded', { maxSeq: 4 });
    await expect(all(PROMPT, {}, small)).rejects.toThrow(
      'kv cache: position 4 does not fit maxSeq=4; raise --max-seq or shorten the prompt',
    );
  });

  test('the same seed tells the same story, in naive and wasm; another seed another one', async () => {
    const options = { maxTokens: 12, temperature: 1, topK: 0, topP: 1, minP: 0, seed: 42, topLogprobs: 1 };
    const first = await all(PROMPT, options);
    expect((await all(PROMPT, options)).text).toBe(first.text);
    expect((await all(PROMPT, { ...options, seed: 43 })).text).not.toBe(first.text);
    await using naive = await loadModel('embedded', { executor: 'naive' });
    const { pieces } = await all(PROMPT, options, naive);
    expect(pieces).toEqual(first.pieces); // logprobs too, to the bit
  });

  test('logprobs are those of the model: they rise with rank and the chosen one is among them', async () => {
    const { pieces } = await all(PROMPT, { maxTokens: 5, temperature: 0, topLogprobs: 4 });
    for (const { id, logprob, top } of pieces) {
      expect(top).toHaveLength(4);
      expect(top[0]).toEqual({ id, logprob }); // greedy takes the likeliest
      for (let i = 1; i < top.length; i++) expect(top[i]!.logprob).toBeLessThanOrEqual(top[i - 1]!.logprob);
      expect(top.reduce((sum, t) => sum + Math.exp(t.logprob), 0)).toBeLessThan(1);
    }
  });

  test('log-probabilities that nobody asked for are not computed; the tokens are the same', async () => {
    const asked = await all(PROMPT, { maxTokens: 5, seed: 3, topLogprobs: 0 });
    const plain = await all(PROMPT, { maxTokens: 5, seed: 3 });
    expect(plain.pieces).toEqual(asked.pieces.map((piece) => ({ ...piece, logprob: NaN })));
    for (const { logprob, top } of asked.pieces) {
      expect(logprob).toBeLessThan(0);
      expect(top).toEqual([]);
    }
  });

  test('an abort ends the stream with its reason, between two tokens', async () => {
    const controller = new AbortController();
    const stream = model.generate(PROMPT, { signal: controller.signal });
    expect((await stream.next()).done).toBe(false);
    controller.abort(new Error('enough'));
    await expect(stream.next()).rejects.toThrow('enough');
  });

  test('leaving the loop early gives the session back', async () => {
    const before = model.info.cacheBytes;
    for await (const piece of model.generate(PROMPT)) if (piece.id >= 0) break;
    expect(model.info.cacheBytes).toBe(before);
  });

  test.each([
    [{ topP: 7 }, /top-p.* 7/],
    [{ temperature: -1 }, /temperature.* -1/],
    [{ temperature: Number.NaN }, /temperature.* NaN/],
    [{ topK: 1.5 }, /top-k.* 1\.5/],
    [{ maxTokens: 0 }, /max-tokens.* 0/],
    [{ seed: -1 }, /seed.* -1/],
    [{ stop: [''] }, /stop string/],
    [{ stop: 'text' as never }, /stop is text, must be a list/],
    [{ logitBias: { 5: 1 } as never }, /logit-bias is no Map/],
  ] as const)('refuses %o', async (options, message) => {
    await expect(all(PROMPT, options)).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(message),
    });
  });

  test('an empty prompt starts from the start token; ids stand for themselves', async () => {
    expect(model.promptIds('')).toEqual([0]);
    expect(model.promptIds({ ids: [7, 8] })).toEqual([7, 8]);
    expect(() => model.promptIds({ ids: [] })).toThrow(/no tokens/);
    expect(() => model.promptIds('', { addSpecial: false })).toThrow(/no tokens/);
    for (const prompt of [null, 5, {}]) expect(() => model.promptIds(prompt as never)).toThrow(/the prompt is/);
    expect(() => model.promptIds({ messages: [{ role: 'user', content: 'hi' }] })).toThrow(/no chat template/);
  });
});

describe('options of loadModel', () => {
  test.each([
    [{ executor: 'gpu' }, /executor is "gpu"/],
    [{ kernels: 'avx' }, /kernels is "avx"/],
    [{ activations: 'q4' }, /activations is "q4"/],
    [{ threads: 0 }, /threads is 0, must be a positive integer or "auto"/],
    [{ threads: -1 }, /threads is -1/],
    [{ threads: 1.5 }, /threads is 1\.5/],
    [{ threads: 'many' }, /threads is many/],
    [{ threads: 99_999 }, /threads is 99999, this machine runs \d+ at a time; use at most that/],
    [{ maxSeq: 0 }, /max-seq is 0/],
    [{ maxSeq: 513 }, /max-seq is 513, the model was made for 512/],
    [{ prefillChunk: 0.5 }, /prefill-chunk is 0\.5/],
    [{ disabledPasses: ['no_such'] }, /there is no pass "no_such"; passes are .*merge_qkv/],
  ] as const)('%o is refused', async (options, message) => {
    await expect(loadModel('embedded', options as never)).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(message),
    });
  });

  test('threads give the same text; "auto" takes what the machine has, and naive tiers say that they have one', async () => {
    const lines: string[] = [];
    const onNotice = (line: string): void => void lines.push(line);
    const textOf = async (options: LoadOptions): Promise<string> => {
      await using model = await loadModel('embedded', { ...options, onNotice });
      if (options.threads === 'auto') {
        expect(model.info.threads).toBe(options.executor === 'naive' ? 1 : Math.min(8, availableParallelism()));
      }
      let text = '';
      for await (const piece of model.generate(PROMPT, { temperature: 0, maxTokens: 8 })) text += piece.text;
      return text;
    };
    const one = await textOf({});
    expect(await textOf({ threads: Math.min(2, availableParallelism()) })).toBe(one);
    expect(await textOf({ threads: 'auto' })).toBe(one);
    expect(lines).toEqual([]);
    await textOf({ threads: 'auto', executor: 'naive' });
    const n = Math.min(8, availableParallelism());
    expect(lines).toEqual(n === 1 ? [] : [`threads: 1 instead of ${n}: the naive executor has no more`]);
  });

  test('a disposed model is not used', async () => {
    const gone = await loadModel('embedded');
    await gone.dispose();
    await gone.dispose();
    await expect(gone.generate(PROMPT).next()).rejects.toThrow(/disposed/);
    expect(() => gone.createSession()).toThrow(/disposed/);
  });

  test('an abort while loading ends it', async () => {
    await expect(loadModel('embedded', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });

  test('progress rises to the whole', async () => {
    const seen: number[] = [];
    let total = 0;
    const onProgress = (p: { doneBytes: number; totalBytes: number }): void => {
      seen.push(p.doneBytes);
      total = p.totalBytes;
    };
    await using loaded = await loadModel('embedded', { onProgress });
    expect(loaded.info.weightBytes).toBeGreaterThanOrEqual(total);
    expect(seen.at(-1)).toBe(total);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });
});
