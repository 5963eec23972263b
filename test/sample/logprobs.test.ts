import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { U64 } from '../../src/core/sum.ts';
import { type Logprobs, logprobsOf } from '../../src/sample/logprobs.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { logitLists } from './candidate_sets.ts';

type LogprobsOf = (logits: Float64Array, id: number, nTop: number) => Logprobs;

/** Against plain loops over host functions, which are within an ulp, 2 u. */
const isLogSoftmax = (logprobs: LogprobsOf) =>
  fc.property(logitLists, fc.nat(), fc.nat(50), (list, any, nTop) => {
    const logits = Float64Array.from(list);
    const id = any % list.length;
    const max = Math.max(...list);
    const total = list.reduce((sum, x) => sum + Math.exp(x - max), 0);
    const isRight = (token: number, got: number): boolean => {
      const exact = list[token]! - max - Math.log(total);
      // Two exp and n additions under the log, a log within 2 u twice, a subtraction twice; x - max is the same on both sides.
      const bound = (list.length + 4) * 2 * U64 + 8 * U64 * (Math.abs(exact) + Math.log(total));
      return got === exact || Math.abs(got - exact) <= bound;
    };
    const { logprob, top } = logprobs(logits, id, nTop);
    const order = list
      .map((x, token) => ({ x, token }))
      .sort((a, b) => (a.x === b.x ? a.token - b.token : b.x > a.x ? 1 : -1))
      .slice(0, nTop);
    return (
      isRight(id, logprob) &&
      top.length === order.length &&
      top.every((entry, rank) => entry.id === order[rank]!.token && isRight(entry.id, entry.logprob))
    );
  });

describe('log-probabilities', () => {
  test('are the log softmax of the logits, the likeliest listed in order', () => {
    fc.assert(isLogSoftmax(logprobsOf), { numRuns: 2000 });
  });

  test('base 2, raw logits, and a list in the wrong order are caught', () => {
    const mutants: LogprobsOf[] = [
      (logits, id, nTop) => ({
        ...logprobsOf(logits, id, nTop),
        logprob: logprobsOf(logits, id, 0).logprob / Math.LN2,
      }),
      (logits, id, nTop) => ({ ...logprobsOf(logits, id, nTop), logprob: logits[id]! }),
      (logits, id, nTop) => ({ ...logprobsOf(logits, id, 0), top: logprobsOf(logits, id, nTop).top.toReversed() }),
    ];
    for (const mutant of mutants) expect(fc.check(isLogSoftmax(mutant), SEARCH).failed).toBe(true);
  });

  test('of equally likely tokens are exactly 0 for one, and the same bits for all', () => {
    expect(logprobsOf(Float64Array.of(-1e300), 0, 1)).toEqual({ logprob: 0, top: [{ id: 0, logprob: 0 }] });
    const { top } = logprobsOf(new Float64Array(5).fill(1e10), 2, 9);
    expect(top.map((t) => t.id)).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(top.map((t) => t.logprob)).size).toBe(1);
  });

  test('a list length that is no count is refused', () => {
    for (const nTop of [-1, 0.5, NaN, Infinity]) {
      expect(() => logprobsOf(Float64Array.of(1), 0, nTop)).toThrow(
        new ConfigError(`top-logprobs is ${nTop}, must be an integer from 0; 0 lists none`),
      );
    }
  });
});
