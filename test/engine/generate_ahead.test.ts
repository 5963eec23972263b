import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generate } from '../../src/engine/generate.ts';
import { generateAhead } from '../../src/engine/generate_ahead.ts';
import { lazyForms } from '../../src/engine/lazy_forms.ts';
import type { Model } from '../../src/engine/model.ts';
import type { GenerateOptions, Piece } from '../../src/engine/next_piece.ts';
import { lookUp, type SpeculateOptions } from '../../src/engine/proposals.ts';
import type { Session } from '../../src/engine/session.ts';
import { loadModel } from '../../src/index.node.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { mutatedModule } from '../support/mutated_module.ts';

let model: Model;
/** It rounds less: nearly the model itself. */
let near: Model;
/** It sees few of the positions: another distribution. */
let far: Model;
beforeAll(async () => {
  model = await loadModel('embedded');
  near = await loadModel('embedded', { activations: 'f32' });
  far = await loadModel('embedded', { kv: { kind: 'lossy', window: 16, sinks: 0 } });
});
afterAll(async () => {
  for (const loaded of [model, near, far]) await loaded.dispose();
});

const PROMPT = 'Tom had a red ball. Tom had a red ball. Tom had a';

const LOOKUP: SpeculateOptions = { kind: 'lookup', most: 5, longest: 2, shortest: 1 };
const guessers = (): [string, SpeculateOptions][] => [
  ['lookup', LOOKUP],
  ['near draft', { kind: 'draft', model: near }],
  ['far draft', { kind: 'draft', model: far, most: 3 }],
];

/** All that a generation gives, and the ids that the session has after it. The clock's figures are left out. */
async function run(
  corridorOf: typeof generate | typeof generateAhead,
  options: GenerateOptions & { speculate?: SpeculateOptions },
  { prompt = PROMPT, from = model, readOnly = Infinity } = {},
) {
  const session = from.createSession();
  const { tokenizer } = from;
  const { maxSeq } = from.info;
  const corridor = { session, tokenizer, forms: lazyForms(tokenizer), host: createNodeHost(), maxSeq };
  const stream = corridorOf(corridor, from.promptIds(prompt), options as never);
  const pieces: Piece[] = [];
  try {
    while (pieces.length < readOnly) {
      const step = await stream.next();
      if (step.done) {
        const { promptMs: _p, genMs: _g, speculation, ...summary } = step.value;
        return { same: { pieces, summary, ids: [...session.ids] }, speculation };
      }
      pieces.push(step.value);
    }
    await stream.return(undefined as never);
    return { same: { pieces, summary: undefined, ids: [...session.ids] }, speculation: undefined };
  } finally {
    session.dispose();
  }
}

const GREEDY = { maxTokens: 40, temperature: 0 };
const WILD = { maxTokens: 24, temperature: 1, topK: 0, topP: 1, minP: 0 };

const CASES: [string, GenerateOptions][] = [
  ['greedy', GREEDY],
  ['one token', { ...GREEDY, maxTokens: 1 }],
  ['two tokens', { ...GREEDY, maxTokens: 2 }],
  ['penalties that look at the history', { ...GREEDY, repeatPenalty: 1.3, frequencyPenalty: 0.2, repeatLastN: 8 }],
  ['log-probabilities', { ...GREEDY, topLogprobs: 3 }],
  ['a stop string', { ...GREEDY, stop: ['ball. ', ' He ', ' she '] }],
  ['a bias that makes the end token likely', { ...GREEDY, maxTokens: 80, logitBias: new Map([[1, 6]]) }],
  ['a grammar', { ...GREEDY, grammar: 'root ::= (" red" | " ball." | " Tom" | " had a")+' }],
  ['a schema', { ...GREEDY, maxTokens: 30, schema: { type: 'array', items: { enum: ['red', 'ball'] }, minItems: 3 } }],
  ['sampled', { ...WILD, seed: 3 }],
  ['sampled with filters and penalties', { maxTokens: 40, seed: 5, repeatPenalty: 1.1, topLogprobs: 0 }],
];

describe('with guesses, the same pieces', () => {
  test.each(CASES)('%s', async (_, options) => {
    const plain = await run(generate, options);
    for (const [name, speculate] of guessers()) {
      const ahead = await run(generateAhead, { ...options, speculate });
      expect(ahead.same, name).toEqual(plain.same);
      const { nRuns, nAccepted, nProposed } = ahead.speculation!;
      expect(nAccepted).toBeLessThanOrEqual(nProposed);
      // The prompt gives one token, each run one more than it had right; a token that ends was perhaps guessed, too.
      expect([0, 1]).toContain(1 + nRuns + nAccepted - plain.same.pieces.length);
    }
  });

  // The token is drawn from the model's own distribution whatever was guessed, so each seed has its text: equal for every seed is
  // more than equal in distribution.
  test('every seed has its text', async () => {
    const count = { near: 0, far: 0, lookup: 0 };
    for (let seed = 0; seed < 12; seed++) {
      const plain = await run(generate, { ...WILD, maxTokens: 12, seed });
      for (const [name, speculate] of guessers()) {
        const ahead = await run(generateAhead, { ...WILD, maxTokens: 12, seed, speculate });
        expect(ahead.same, `${name}, seed ${seed}`).toEqual(plain.same);
        count[name.split(' ')[0] as keyof typeof count] += ahead.speculation!.nAccepted;
      }
    }
    // The same random numbers draw the same tokens from a distribution that is near: 12 * 11 could be right.
    expect(count.near).toBeGreaterThan(count.far);
    expect(count.near).toBeGreaterThan(66);
  });

  test('in a context that becomes full, and in caches made of pages, one of them just as large as the text', async () => {
    for (const kv of [
      { kind: 'contiguous' },
      { kind: 'paged', budget: 48 },
      { kind: 'prefix' },
      { kind: 'paged', type: 'q4_0' },
      { kind: 'lossy', type: 'q8_0', window: 20 },
    ] as const) {
      await using small = await loadModel('embedded', { maxSeq: 48, kv });
      const plain = await run(generate, { temperature: 0 }, { from: small });
      const bytes = small.cacheStats().nSequences;
      for (const [name, speculate] of guessers()) {
        const ahead = await run(generateAhead, { temperature: 0, speculate }, { from: small });
        expect(ahead.same, `${kv.kind}, ${name}`).toEqual(plain.same);
      }
      expect(plain.same.summary?.finishReason).toBe('context');
      expect(small.cacheStats().nSequences).toBe(bytes);
    }
  });

  test('left early, the session is as without guesses', async () => {
    for (const readOnly of [1, 2, 3, 4, 5, 6, 7]) {
      const plain = await run(generate, GREEDY, { readOnly });
      const ahead = await run(generateAhead, { ...GREEDY, speculate: LOOKUP }, { readOnly });
      expect(ahead.same).toEqual(plain.same);
    }
  });

  test('a wrong guess with logits that are not finite, or without room, does no harm', async () => {
    const { KernelError, CapacityError } = await import('../../src/index.ts');
    for (const failure of [new KernelError('guess'), new CapacityError('guess')]) {
      const session = model.createSession();
      const failing: Session = Object.create(session, {
        append: {
          value: (ids: number[], o: object) => (ids.length === 6 ? Promise.reject(failure) : session.append(ids, o)),
        },
      });
      const other = { ...model, createSession: () => failing } as unknown as Model;
      Object.defineProperty(other, 'info', { value: model.info });
      const ahead = await run(generateAhead, { ...GREEDY, speculate: LOOKUP }, { from: other });
      expect(ahead.same).toEqual((await run(generate, GREEDY)).same);
    }
  });

  test('it saves runs', async () => {
    const { speculation } = await run(generateAhead, { ...GREEDY, speculate: { kind: 'draft', model } });
    // Greedy and its own draft: every guess is right, five tokens a run.
    expect(speculation).toEqual({ nRuns: 8, nProposed: 31, nAccepted: 31 });
  });

  test.each([
    [
      'takes any guess',
      'if (finishReason !== undefined || id !== guess[row]) break;',
      'if (finishReason !== undefined || row >= guess.length) break;',
    ],
    ['leaves wrong guesses in the cache', 'session.truncate(Math.min(decided.length, session.ids.length));', ''],
    ['reads the wrong row', 'rowOf(logits, row)', 'rowOf(logits, 0)'],
    ['chooses without the history', 'rowOf(logits, row), decided)', 'rowOf(logits, row), decided.slice(0, -1))'],
    [
      'leaves guesses behind when left',
      'if (decided !== undefined && session',
      'if (false && decided !== undefined && session',
    ],
  ])('a copy that %s is caught', async (_, from, to) => {
    const source = new URL('../../src/engine/generate_ahead.ts', import.meta.url);
    const mutant = await mutatedModule<{ generateAhead: typeof generateAhead }>(source, { from, to });
    const options = { ...GREEDY, repeatPenalty: 1.6, frequencyPenalty: 1, repeatLastN: 6 };
    const isCaught = async (): Promise<boolean> => {
      for (const readOnly of [3, Infinity]) {
        const plain = await run(generate, options, { readOnly });
        for (const [, speculate] of guessers()) {
          const ahead = await run(mutant.generateAhead, { ...options, speculate }, { readOnly }).catch(() => undefined);
          if (!isEqual(ahead?.same, plain.same)) return true;
        }
      }
      return false;
    };
    expect(await isCaught()).toBe(true);
  });
});

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

describe('lookUp', () => {
  const most = 3;
  test.each([
    [[1, 2, 3, 9, 1, 2], 2, 1, [3, 9, 1]],
    [[5, 1, 2, 7, 9, 2, 8, 1, 2], 2, 1, [7, 9, 2]], // the longer end, not the later place
    [[1, 2, 3, 1, 2, 4, 1, 2], 2, 2, [4, 1, 2]], // of equal ones the latest
    [[7, 1, 2, 1, 2], 3, 2, [1, 2, 1]], // runs into the end
    [[4, 4], 3, 1, [4, 4, 4]],
    [[1, 2, 3, 4], 3, 1, []],
    [[1, 2, 3, 2], 3, 2, []], // shorter than asked for
    [[1], 3, 1, []],
  ])('%j, %i..%i', (ids, longest, shortest, expected) => {
    expect(lookUp(ids, { most, longest, shortest })).toEqual(expected);
  });
});

describe('refusals', () => {
  const first = (speculate: unknown, from = model) =>
    from.generate(PROMPT, { maxTokens: 2, speculate: speculate as SpeculateOptions }).next();

  test('options out of range', async () => {
    await expect(first({ kind: 'magic' })).rejects.toThrow('the kind "magic", must be "lookup" or "draft"');
    await expect(first({ kind: 'lookup', most: 0 })).rejects.toThrow('speculate: most is 0, must be an integer from 1');
    await expect(first({ kind: 'lookup', longest: 1, shortest: 2 })).rejects.toThrow(
      'shortest is 2, must be at most longest',
    );
  });

  test('a draft model of another vocabulary', async () => {
    const withTokenizer = (changes: Partial<Tokenizer>) => {
      const tokenizer = { ...near.tokenizer, ...changes };
      return { kind: 'draft', model: { info: near.info, tokenizer, createSession: near.createSession } };
    };
    const { piece, vocabSize } = near.tokenizer;
    await expect(first(withTokenizer({ vocabSize: vocabSize + 1 }))).rejects.toThrow(
      `its vocabulary has ${vocabSize + 1} tokens, the model's has ${vocabSize}`,
    );
    await expect(first(withTokenizer({ piece: (id) => (id === 300 ? 'zebra' : piece(id)) }))).rejects.toThrow(
      'its token 300 is "zebra", the model\'s is',
    );
  });

  test('a cache that gives rows up or rounds them late, and many requests at once', async () => {
    for (const kv of [
      { kind: 'evict', by: 'importance', budget: 40 },
      { kind: 'lossy', type: 'q8_0', recent: 64 },
    ] as const) {
      await using late = await loadModel('embedded', { kv });
      await expect(first({ kind: 'lookup' }, late)).rejects.toThrow('a wrong guess cannot be taken back');
    }
    const events = [];
    for await (const event of model.generateMany([{ prompt: PROMPT, speculate: LOOKUP }])) events.push(event);
    expect(events).toMatchObject([{ index: 0, error: { message: expect.stringContaining('speculate is for one') } }]);
  });
});
