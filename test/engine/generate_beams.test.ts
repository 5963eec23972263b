import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Beam, GenerateOptions, Piece } from '../../src/engine/generate.ts';
import { generateBeams } from '../../src/engine/generate_beams.ts';
import type { Model } from '../../src/engine/model.ts';
import { loadModel } from '../../src/index.node.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { logprobsOf } from '../../src/sample/logprobs.ts';
import { mutatedModule } from '../support/mutated_module.ts';

let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded');
});
afterAll(() => model.dispose());

const PROMPT = 'The fox saw';

const search = async (from: Model, options: GenerateOptions, prompt = PROMPT) => {
  const stream = from.generate(prompt, options);
  const pieces: Piece[] = [];
  for (;;) {
    const step = await stream.next();
    if (!step.done) pieces.push(step.value);
    else return { pieces, summary: step.value, beams: step.value.beams! };
  }
};

/** By the definition, without a cache: every hypothesis is run again from its first id, and all continuations are sorted. */
async function withoutCache(
  from: Model,
  nBeams: number,
  nTokens: number,
  penalty: number,
): Promise<Omit<Beam, 'text'>[]> {
  const prompt = from.promptIds(PROMPT);
  let live: { ids: number[]; logprob: number }[] = [{ ids: [], logprob: 0 }];
  let ended: Omit<Beam, 'text'>[] = [];
  for (let n = 1; n <= nTokens && live.length > 0; n++) {
    const all: { ids: number[]; parent: number; logit: number; logprob: number }[] = [];
    for (const [parent, { ids, logprob }] of live.entries()) {
      const { data, vocab } = await from.logits([...prompt, ...ids]);
      const row = Float64Array.from(data.slice(-vocab));
      for (const { id, logprob: own } of logprobsOf(row, 0, vocab).top) {
        all.push({ ids: [...ids, id], parent, logit: row[id]!, logprob: logprob + own });
      }
    }
    all.sort((a, b) => b.logprob - a.logprob || a.parent - b.parent || b.logit - a.logit);
    live = [];
    for (const { ids, logprob } of all) {
      if (live.length === nBeams) break;
      const isEnd = from.tokenizer.eosIds.has(ids.at(-1)!);
      const score = logprob / ids.length ** penalty;
      if (isEnd || n === nTokens) ended.push({ ids, logprob, score, finishReason: isEnd ? 'eos' : 'length' });
      if (!isEnd) live.push({ ids, logprob });
    }
    ended = ended.sort((a, b) => b.score - a.score).slice(0, nBeams);
    if (ended.length === nBeams && ended.at(-1)!.score >= live[0]!.logprob / n ** penalty) break;
  }
  return ended;
}

const numbers = ({ ids, logprob, finishReason }: Omit<Beam, 'text'>) => ({ ids, logprob, finishReason });

describe('generate with beams', () => {
  test('finds what a search without a cache finds', async () => {
    const plain = await withoutCache(model, 3, 9, 1);
    const { beams, pieces, summary } = await search(model, { beams: 3, maxTokens: 9 });
    expect(beams.map(numbers)).toEqual(plain.map(numbers));
    expect(pieces.map(({ id }) => id)).toEqual(beams[0]!.ids);
    expect(pieces.map(({ text }) => text).join('')).toBe(beams[0]!.text);
    expect(pieces.reduce((sum, { logprob }) => sum + logprob, 0)).toBe(beams[0]!.logprob);
    expect(summary).toMatchObject({ finishReason: beams[0]!.finishReason, genTokens: 9 });
  });

  test('the same in every form of the cache, in runs of two, and on the naive tier', async () => {
    const { beams } = await search(model, { beams: 4, maxTokens: 12, lengthPenalty: 0.5 });
    const kvs: KvOptions[] = [
      { kind: 'paged', debug: true },
      { kind: 'prefix' },
      { kind: 'tiered' },
      { kind: 'lossy', window: 64 },
    ];
    for (const kv of kvs) {
      await using other = await loadModel('embedded', { kv, prefillChunk: kv.kind === 'paged' ? 2 : 128 });
      const found = await search(other, { beams: 4, maxTokens: 12, lengthPenalty: 0.5 });
      expect(found.beams, kv.kind).toEqual(beams);
      expect(other.cacheStats().nSequences).toBe(0);
    }
    await using naive = await loadModel('embedded', { executor: 'naive' });
    const first = await search(model, { beams: 2, maxTokens: 3 });
    expect((await search(naive, { beams: 2, maxTokens: 3 })).beams).toEqual(first.beams);
  });

  test('one beam is greedy generation, to its end', async () => {
    for (const options of [{ maxTokens: 120 }, { maxTokens: 40, stop: [' was', 'He '] }, { stopIds: [62] }]) {
      const greedy = await search(model, { ...options, temperature: 0 });
      const one = await search(model, { ...options, beams: 1 });
      expect(one.pieces.map(({ id, text }) => ({ id, text }))).toEqual(
        greedy.pieces.map(({ id, text }) => ({ id, text })),
      );
      expect(one.summary.finishReason).toBe(greedy.summary.finishReason);
    }
  });

  test("hypotheses share the prompt's pages", async () => {
    // 60 ids are three pages and the beginning of a fourth, of which each of four hypotheses has a copy; a fifth begins at 64. So
    // 4 + 4 * 2 pages, where prompts of their own would be 4 + 4 * 5.
    const ids = model.promptIds('One day '.repeat(80)).slice(0, 60);
    await using small = await loadModel('embedded', { kv: { kind: 'paged', budget: 16 * 12 } });
    const all = [];
    for (const from of [small, model]) {
      const stream = from.generate({ ids }, { beams: 4, maxTokens: 6 });
      for (;;) {
        const step = await stream.next();
        if (!step.done) continue;
        all.push(step.value.beams);
        break;
      }
    }
    expect(all[0]).toEqual(all[1]);
    expect(small.cacheStats().pages).toMatchObject({ nUsed: 0 });
  });

  test('within a session, what comes next has the best text before it', async () => {
    const session = model.createSession();
    const stream = model.generateIn(session, model.promptIds(PROMPT), { beams: 2, maxTokens: 5 });
    let step = await stream.next();
    while (!step.done) step = await stream.next();
    expect(session.ids).toEqual([...model.promptIds(PROMPT), ...step.value.beams![0]!.ids.slice(0, -1)]);
    session.dispose();
    expect(model.cacheStats().nSequences).toBe(0);
  });

  test('an abort, wherever it comes, gives the best text so far before the reason, and nothing is left', async () => {
    const lengths: number[] = [];
    for (let check = 1; check < 20; check++) {
      const controller = new AbortController();
      const { signal } = controller;
      let nChecks = 0;
      signal.throwIfAborted = () => {
        if (++nChecks === check) controller.abort(new Error('enough'));
        AbortSignal.prototype.throwIfAborted.call(signal);
      };
      const pieces: Piece[] = [];
      const read = async () => {
        for await (const piece of model.generate(PROMPT, { beams: 3, maxTokens: 6, signal })) pieces.push(piece);
      };
      if (
        await read().then(
          () => true,
          (e: Error) => e.message !== 'enough',
        )
      )
        break;
      lengths.push(pieces.length);
      if (pieces.length === 0) continue;
      const { beams } = await search(model, { beams: 3, maxTokens: pieces.length });
      expect(pieces.map(({ id }) => id)).toEqual(beams[0]!.ids);
    }
    // While the prompt is read, before each of six tokens, and before the text is run for what comes next.
    expect(lengths).toEqual([0, 0, 1, 2, 3, 4, 5, 6]);
    expect(model.cacheStats().nSequences).toBe(0);
  });

  test('a full context, and a cache without room end it, and nothing is left', async () => {
    await using small = await loadModel('embedded', { maxSeq: 12, kv: { kind: 'paged', budget: 48 } });
    expect((await search(small, { beams: 2 })).beams.map((b) => b.finishReason)).toEqual(['context', 'context']);
    await expect(search(small, { beams: 8 })).rejects.toThrow('kv cache');
    expect(small.cacheStats().nSequences + model.cacheStats().nSequences).toBe(0);
  });

  test('what does not fit is refused by name', async () => {
    const refusal = (options: GenerateOptions) => expect(search(model, { maxTokens: 2, ...options })).rejects;
    await refusal({ beams: 0 }).toThrow('beams is 0, must be an integer from 1 to 1024');
    await refusal({ beams: 100_000 }).toThrow('beams is 100000, must be an integer from 1 to 1024');
    await refusal({ beams: 2, lengthPenalty: 11 }).toThrow('length-penalty is 11, must lie in -10..10');
    await refusal({ lengthPenalty: 1 }).toThrow('nothing is ranked by it; say beams too');
    await refusal({ beams: 2, stop: [''] }).toThrow('can never be found');
    await refusal({ beams: 2, maxTokens: 0 }).toThrow('max-tokens is 0');
    for (const other of [
      { temperature: 0 },
      { seed: 1 },
      { topK: 3 },
      { grammar: 'root ::= "a"' },
      { topLogprobs: 1 },
    ]) {
      await refusal({ beams: 2, ...other }).toThrow(`${Object.keys(other)[0]} does not fit beams`);
    }
    for await (const event of model.generateMany([{ prompt: 'a', beams: 2 }])) {
      expect(event).toMatchObject({
        error: { message: expect.stringContaining('beams are hypotheses of one prompt') },
      });
    }
  });

  test.each([
    ['reads the first row for all', 'data.subarray(i * vocab, (i + 1) * vocab)', 'data.subarray(0, vocab)'],
    ['lets children write into one sequence', ' : own(cache.fork(sequences[parent]!));', ' : sequences[parent]!;'],
    [
      'goes on in the rows of another',
      'sequences[parent]! : own(cache.fork(sequences[parent]!))',
      'sequences[0]! : own(cache.fork(sequences[0]!))',
    ],
    ['runs the token of another', 'search.live[from + i]!.ids.at(-1)!', 'search.live[from]!.ids.at(-1)!'],
  ])('a copy that %s is caught', async (_, from, to) => {
    const source = new URL('../../src/engine/generate_beams.ts', import.meta.url);
    const mutant = await mutatedModule<{ generateBeams: typeof generateBeams }>(source, { from, to });
    const run = async (searcher: typeof generateBeams): Promise<string> => {
      const { executor, tokenizer } = model;
      const cache = executor.createCache(64, { kind: 'paged' });
      const session = sessionOn(cache);
      const parts = {
        executor,
        cache,
        tokenizer,
        host: createNodeHost(),
        maxSeq: 64,
        prefillChunk: 64,
        diagnose: neverDiagnosed,
      };
      const stream = searcher(parts, session, model.promptIds(PROMPT), { beams: 4, maxTokens: 10 });
      let step = await stream.next();
      while (!step.done) step = await stream.next();
      return JSON.stringify(step.value.beams);
    };
    const { createSession } = await import('../../src/engine/session.ts');
    const neverDiagnosed = () => Promise.reject(new Error('not finite'));
    const sessionOn = (cache: ReturnType<Model['executor']['createCache']>) =>
      createSession({
        executor: model.executor,
        cache,
        host: createNodeHost(),
        prefillChunk: 64,
        owner: () => Promise.reject(new Error('nobody saves')),
        diagnose: neverDiagnosed,
      });
    const right = await run(generateBeams);
    expect(await run(mutant.generateBeams).catch(() => 'it failed')).not.toBe(right);
  });
});
