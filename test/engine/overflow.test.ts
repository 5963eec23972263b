import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import type { GenerateOptions, Piece, Summary } from '../../src/engine/generate.ts';
import type { Model } from '../../src/engine/model.ts';
import { shiftIds } from '../../src/engine/overflow.ts';
import { loadModel } from '../../src/index.node.ts';
import { SEARCH } from '../support/mutant_search.ts';

const MAX_SEQ = 24;
const SINKS = 4;
let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded', { maxSeq: MAX_SEQ });
});
afterAll(() => model.dispose());

async function run(options: GenerateOptions, prompt: readonly number[], from = model) {
  const session = from.createSession();
  try {
    const stream = from.generateIn(session, prompt, { temperature: 0, ...options });
    const pieces: Piece[] = [];
    for (;;) {
      const step = await stream.next();
      if (step.done) return { pieces, summary: step.value as Summary, ids: [...session.ids] };
      pieces.push(step.value);
    }
  } finally {
    session.dispose();
  }
}

describe('shiftIds', () => {
  type ShiftIds = typeof shiftIds;
  /** The sinks and the newest stay, in order; one more token always fits; a longer list drops the same or whole steps more. */
  const keeps = (shift: ShiftIds) =>
    fc.property(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 0, max: 60 }), fc.nat(), (maxSeq, length, s) => {
      const sinks = Math.min(s % (Math.floor(maxSeq / 2) + 1), maxSeq - 2);
      const all = Array.from({ length }, (_, i) => i);
      const { ids, dropped } = shift(all, maxSeq, { kind: 'shift', sinks });
      const expected = dropped === 0 ? all : [...all.slice(0, sinks), ...all.slice(sinks + dropped)];
      const next = shift([...all, length], maxSeq, { kind: 'shift', sinks }).dropped;
      const step = Math.floor((maxSeq - sinks) / 2);
      return (
        ids.length <= maxSeq &&
        (ids.length > sinks || length <= sinks) &&
        dropped > 0 === length > maxSeq &&
        JSON.stringify(ids) === JSON.stringify(expected) &&
        (next === dropped || next === dropped + step)
      );
    });
  test('keeps the sinks and the newest', () => fc.assert(keeps(shiftIds)));

  test.each<[string, ShiftIds]>([
    [
      'drops as few as it can',
      (ids, maxSeq, { sinks = 4 }) => {
        const dropped = Math.max(0, ids.length - maxSeq);
        return { dropped, ids: [...ids.slice(0, sinks), ...ids.slice(sinks + dropped)] };
      },
    ],
    ['drops the sinks', (ids, maxSeq) => shiftIds(ids, maxSeq, { kind: 'shift', sinks: 0 })],
  ])('one that %s is caught', (_name, mutant) => {
    expect(fc.check(keeps(mutant), SEARCH).failed).toBe(true);
  });

  test('sinks that leave nothing to drop are refused', () => {
    for (const sinks of [-1, 1.5, 13, Number.NaN]) {
      expect(() => shiftIds([1], MAX_SEQ, { kind: 'shift', sinks })).toThrow(ConfigError);
    }
  });
});

describe('a generation in a context that is too small', () => {
  test('ends by itself with "context"; with overflow it goes on and tells how much it dropped', async () => {
    const prompt = model.tokenize('Once upon a time');
    const ended = await run({}, prompt);
    expect(ended.summary.finishReason).toBe('context');
    expect(ended.pieces.every(({ dropped }) => dropped === undefined)).toBe(true);

    const maxTokens = 3 * MAX_SEQ;
    const { pieces, summary } = await run({ overflow: { kind: 'shift', sinks: SINKS }, maxTokens }, prompt);
    expect(summary).toMatchObject({ finishReason: 'length', genTokens: maxTokens });
    expect(pieces.slice(0, ended.pieces.length).map(({ id }) => id)).toEqual(ended.pieces.map(({ id }) => id));
    const drops = pieces.map(({ dropped = 0 }) => dropped);
    const step = (MAX_SEQ - SINKS) / 2;
    expect(new Set(drops)).toEqual(new Set([0, step]));
    expect(drops.findIndex((n) => n > 0)).toBe(ended.pieces.length);
  });

  test('each token is the one after the tokens that stayed, run from nothing: equal bits', async () => {
    const prompt = model.tokenize('Once upon a time');
    const overflow = { kind: 'shift', sinks: SINKS } as const;
    const { pieces } = await run({ overflow, maxTokens: 2 * MAX_SEQ, topLogprobs: 0 }, prompt);
    const all = [...prompt, ...pieces.map(({ id }) => id)];
    for (const n of [1, MAX_SEQ - prompt.length, MAX_SEQ - prompt.length + 1, 30, 40, 2 * MAX_SEQ - 1]) {
      const kept = shiftIds(all.slice(0, prompt.length + n), MAX_SEQ, overflow).ids;
      const alone = await run({ maxTokens: 1, topLogprobs: 0 }, kept);
      const { id, logprob } = alone.pieces[0]!;
      expect({ n, id, logprob }).toEqual({ n, id: pieces[n]!.id, logprob: pieces[n]!.logprob });
    }
  });

  test('a prompt that is too long is cut alike, before the first piece', async () => {
    const prompt = model.tokenize('Tom had a red ball. '.repeat(9));
    const overflow = { kind: 'shift', sinks: SINKS } as const;
    const { ids, dropped } = shiftIds(prompt, MAX_SEQ, overflow);
    const { pieces } = await run({ overflow, maxTokens: 2 }, prompt);
    const alone = await run({ maxTokens: 2 }, ids);
    expect(pieces[0]!.dropped).toBe(dropped);
    expect(pieces.map(({ id }) => id)).toEqual(alone.pieces.map(({ id }) => id));
  });

  test('what it cannot go with is refused', async () => {
    const overflow = { kind: 'shift' } as const;
    const guess = { kind: 'lookup', most: 4 } as const;
    const both = async () => run({ overflow, speculate: guess }, [1, 2]);
    await expect(both()).rejects.toThrow(UnsupportedError);
    for await (const event of model.generateMany([{ prompt: 'One', overflow }])) {
      expect(event).toMatchObject({ error: expect.any(ConfigError) });
    }
    expect.assertions(2);
  });
});
