import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BeamRules, createBeamSearch, type EndedHypothesis } from '../../src/sample/beams.ts';
import { logprobsOf } from '../../src/sample/logprobs.ts';
import type { FinishReason } from '../../src/sample/stopping.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { mutatedModule } from '../support/mutated_module.ts';
import { randomNumbers } from '../support/tiny_llama.ts';

/** A language of a few tokens: the logits after a beginning are random numbers of that beginning; token 0 ends. */
interface Language {
  readonly seed: number;
  readonly vocab: number;
  readonly most: number;
  /** Logits are whole multiples of it: large ones give ties. */
  readonly grain: number;
  readonly penalty: number;
}

const languages = fc.record<Language>({
  seed: fc.nat(1e6),
  vocab: fc.integer({ min: 1, max: 4 }),
  most: fc.integer({ min: 1, max: 4 }),
  grain: fc.constantFrom(1e-6, 0.5, 2, 100),
  penalty: fc.constantFrom(0, 1, 0.5, -1, 2),
});

const END = 0;

function logitsAfter({ seed, vocab, grain }: Language, ids: readonly number[]): Float32Array {
  const random = randomNumbers(ids.reduce((hash, id) => (hash * 31 + id + 1) % 1_000_003, seed + 1));
  return Float32Array.from({ length: vocab }, () => Math.round((random() * 8 - 4) / grain) * grain);
}

const rules = (l: Language, nBeams: number): BeamRules => ({
  nBeams,
  lengthPenalty: l.penalty,
  endOf: (ids) => (ids.at(-1) === END ? 'eos' : undefined),
  limitAt: (n) => (n === l.most ? 'length' : undefined),
});

type Found = Pick<EndedHypothesis, 'ids' | 'logprob' | 'finishReason' | 'score'>;
type Make = typeof createBeamSearch;

function search(l: Language, nBeams: number, make: Make = createBeamSearch): { found: Found[]; nSteps: number } {
  const beams = make(rules(l, nBeams));
  let nSteps = 0;
  while (!beams.isDone) {
    expect(++nSteps).toBeLessThanOrEqual(l.most);
    beams.step(beams.live.map(({ ids }) => logitsAfter(l, ids)));
    expect(beams.live.length).toBeLessThanOrEqual(nBeams);
  }
  return {
    found: beams.ended.map(({ ids, logprob, finishReason, score }) => ({ ids, logprob, finishReason, score })),
    nSteps,
  };
}

const logprobAfter = (l: Language, ids: readonly number[], id: number): number =>
  logprobsOf(Float64Array.from(logitsAfter(l, ids)), id, 0).logprob;

const scored = ({ penalty }: Language, ids: readonly number[], logprob: number, finishReason: FinishReason): Found => ({
  ids,
  logprob,
  finishReason,
  score: logprob / ids.length ** penalty,
});

/** Every text that there is, by falling score. */
function exhaustive(l: Language): Found[] {
  const all: Found[] = [];
  const visit = (ids: readonly number[], logprob: number): void => {
    for (let id = 0; id < l.vocab; id++) {
      const next = [...ids, id];
      const sum = logprob + logprobAfter(l, ids, id);
      if (id === END) all.push(scored(l, next, sum, 'eos'));
      else if (next.length === l.most) all.push(scored(l, next, sum, 'length'));
      else visit(next, sum);
    }
  };
  visit([], 0);
  return all.sort((a, b) => b.score - a.score);
}

/** The same search by the letter of its definition: all continuations of a step in one sorted list. */
function plainSearch(l: Language, nBeams: number): Found[] {
  let live: { ids: number[]; logprob: number }[] = [{ ids: [], logprob: 0 }];
  let ended: Found[] = [];
  for (let n = 1; live.length > 0; n++) {
    const all = live.flatMap(({ ids, logprob }, parent) => {
      const logits = logitsAfter(l, ids);
      return Array.from(logits, (logit, id) => ({
        ids: [...ids, id],
        parent,
        logit,
        logprob: logprob + logprobAfter(l, ids, id),
      }));
    });
    all.sort(
      (a, b) => b.logprob - a.logprob || a.parent - b.parent || b.logit - a.logit || a.ids.at(-1)! - b.ids.at(-1)!,
    );
    live = [];
    const atLimit: Found[] = [];
    for (const { ids, logprob } of all) {
      if (live.length === nBeams) break;
      if (ids.at(-1) === END) ended.push(scored(l, ids, logprob, 'eos'));
      else {
        live.push({ ids, logprob });
        atLimit.push(scored(l, ids, logprob, 'length'));
      }
    }
    if (n === l.most) {
      ended.push(...atLimit);
      live = [];
    }
    ended = ended.sort((a, b) => b.score - a.score).slice(0, nBeams); // sort is stable: the earlier one stays before its equals
    if (ended.length === nBeams && live.length > 0) {
      if (ended.at(-1)!.score >= live[0]!.logprob / n ** l.penalty) break;
    }
  }
  return ended;
}

const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-12 * Math.abs(b);

/** Scores are divisions by pow, which differs from ** in the last bits; all else is equal. */
function isSame(got: readonly Found[], wanted: readonly Found[]): boolean {
  const plain = (found: readonly Found[]) => JSON.stringify(found.map(({ score: _, ...rest }) => rest));
  return plain(got) === plain(wanted) && got.every((h, i) => close(h.score, wanted[i]!.score));
}

describe('beam search', () => {
  test('with room for all, it finds what an exhaustive search finds', () =>
    fc.assert(
      fc.property(languages, (l) => {
        const all = exhaustive(l);
        const { found } = search(l, Math.max(1, all.length));
        // Texts of equal scores may stand in any order.
        expect(found.map(({ score }) => score)).toEqual(all.map(({ score }) => expect.closeTo(score, 9)));
        expect(new Set(found.map(({ ids }) => ids.join()))).toEqual(new Set(all.map(({ ids }) => ids.join())));
      }),
    ));

  test('with fewer, what its definition finds, ties included', () =>
    fc.assert(
      fc.property(languages, fc.integer({ min: 1, max: 6 }), (l, nBeams) => {
        expect(isSame(search(l, nBeams).found, plainSearch(l, nBeams))).toBe(true);
      }),
    ));

  test('one beam takes the likeliest token each time', () =>
    fc.assert(
      fc.property(languages, (l) => {
        const ids: number[] = [];
        while (ids.length < l.most && ids.at(-1) !== END) {
          const logits = logitsAfter(l, ids);
          ids.push(logits.indexOf(Math.max(...logits)));
        }
        expect(search(l, 1).found.map((h) => h.ids)).toEqual([ids]);
      }),
    ));

  test.each([
    ['takes ties by the later parent', 'heads[i]!.sum > heads[parent]!.sum', 'heads[i]!.sum >= heads[parent]!.sum'],
    ['ranks without the past', 'head.sum = h.logprob + head.logprob;', 'head.sum = head.logprob;'],
    ['lets ended ones take a place', 'else end(h, finishReason);', 'else { end(h, finishReason); next.push(h); }'],
    ['forgets the length', 'logprob / pow(ids.length, lengthPenalty)', 'logprob'],
    ['forgets those at the limit', 'for (const h of next.splice(0)) end(h, limit);', 'next.splice(0);'],
    ['stops at the first end', 'ended.length === nBeams &&', 'ended.length > 0 &&'],
    ['never stops early', 'return ended.length === nBeams && ended.at(-1)!.score >= scoreOf(best);', 'return false;'],
    ['takes later ones before equals', 'other.score < score', 'other.score <= score'],
  ])('a copy that %s is caught', async (_, from, to) => {
    const source = new URL('../../src/sample/beams.ts', import.meta.url);
    const { createBeamSearch: mutant } = await mutatedModule<{ createBeamSearch: Make }>(source, { from, to });
    const sameAsPlain = fc.property(languages, fc.integer({ min: 1, max: 6 }), (l, nBeams) => {
      expect(isSame(search(l, nBeams, mutant).found, plainSearch(l, nBeams))).toBe(true);
    });
    expect(fc.check(sameAsPlain, SEARCH).failed).toBe(true);
  });
});
