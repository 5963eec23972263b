import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import { type MergeRule, mergeSymbols } from '../../src/text/bpe.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { mergeByDefinition, mergesAsDefined } from './merges.ts';

const MAX_SYMBOLS = 40;

/** The planted mistake: among equal ranks the rightmost pair first. */
function mergeRightmost(symbols: readonly number[], mergeOf: MergeRule): number[] {
  const reversed = mergeByDefinition(symbols.toReversed(), (left, right) => mergeOf(right, left));
  return reversed.toReversed();
}

/** The planted mistake: a queued pair is merged whatever has become of its symbols. */
function mergeGreedyOnce(symbols: readonly number[], mergeOf: MergeRule): number[] {
  const out: number[] = [];
  for (const id of symbols) {
    const merge = out.length > 0 ? mergeOf(out.at(-1)!, id) : null;
    if (merge === null) out.push(id);
    else out[out.length - 1] = merge.id;
  }
  return out;
}

describe('mergeSymbols', () => {
  test('is the definition of byte-pair encoding', () =>
    fc.assert(mergesAsDefined(MAX_SYMBOLS, mergeSymbols), { numRuns: 1000 }));

  test('and wrong orders are caught', () => {
    expect(fc.check(mergesAsDefined(MAX_SYMBOLS, mergeRightmost), SEARCH).failed).toBe(true);
    expect(fc.check(mergesAsDefined(MAX_SYMBOLS, mergeGreedyOnce), SEARCH).failed).toBe(true);
  });

  test('lengths 0, 1, 2', () => {
    const rule: MergeRule = () => ({ rank: 0, id: 9 });
    expect(mergeSymbols([], rule)).toEqual([]);
    expect(mergeSymbols([4], rule)).toEqual([4]);
    expect(mergeSymbols([4, 5], rule)).toEqual([9]);
  });
});

function tokenizerOf(model: object) {
  return createTokenizer({ tokenizerJson: { model, decoder: { type: 'Fuse' } } });
}

describe('the two rules of merging', () => {
  const vocab = { a: 0, b: 1, aa: 2, aab: 3, ab: 4, aaa: 5 };

  test('by list: the order of the list, whatever the pieces', () => {
    const ids = (merges: string[]) => tokenizerOf({ type: 'BPE', vocab, merges }).encode('aab');
    expect(ids(['a a', 'a b'])).toEqual([2, 1]);
    expect(ids(['a b', 'a a'])).toEqual([0, 4]);
    expect(ids(['a b', 'a ab'])).toEqual([3]);
  });

  test('by score: any two ways to make one piece have one rank, and the leftmost comes first', () => {
    const scores = [null, null, -1, null, null, -2];
    // aa aa aa a: "aa|aa" is no piece, "aa|a" and "a|aa" are both "aaa".
    expect(tokenizerOf({ type: 'SPM', vocab, scores }).encode('aaaaa')).toEqual([2, 5]);
    expect(tokenizerOf({ type: 'SPM', vocab, scores }).encode('aabaa')).toEqual([2, 1, 2]);
  });

  test('a character outside the vocabulary can still be part of a piece; alone it is unknown', () => {
    const model = {
      type: 'SPM',
      vocab: { '<unk>': 0, xé: 1, x: 2 },
      scores: [null, -1, -2],
      unk_token: '<unk>',
      fuse_unk: true,
    };
    const tokenizer = tokenizerOf(model);
    expect(tokenizer.encode('xé')).toEqual([1]);
    expect(tokenizer.encode('éééx')).toEqual([0, 2]);
    expect(tokenizerOf({ ...model, fuse_unk: false }).encode('ééx')).toEqual([0, 0, 2]);
  });

  test('a piece of the whole word wins where merges are to be ignored', () => {
    const model = { type: 'BPE', vocab, merges: ['a b'] };
    expect(tokenizerOf(model).encode('aab')).toEqual([0, 4]);
    expect(tokenizerOf({ ...model, ignore_merges: true }).encode('aab')).toEqual([3]);
  });

  test('faulty models are refused by name', () => {
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: ['a c'] })).toThrow(/merge 0 .*"c"/);
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: ['b b'] })).toThrow(ConfigError);
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: ['ab'] })).toThrow(/two pieces/);
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: [['a']] })).toThrow(ConfigError);
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: [], continuing_subword_prefix: '##' })).toThrow(
      UnsupportedError,
    );
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: [], end_of_word_suffix: 1 })).toThrow(ConfigError);
    expect(() => tokenizerOf({ type: 'Mystery', vocab })).toThrow(UnsupportedError);
    expect(() => tokenizerOf({ type: 'BPE', vocab, merges: [] }).encode('é')).toThrow(/neither byte tokens nor/);
  });
});

test('a word of a megabyte is encoded (a quadratic method would take hours)', () => {
  const vocab = { a: 0, aa: 1, aaaa: 2, b: 3 };
  const tokenizer = tokenizerOf({ type: 'BPE', vocab, merges: ['a a', 'aa aa'] });
  const ids = tokenizer.encode('a'.repeat(2 ** 20));
  expect(ids.length).toBe(2 ** 18);
  expect(new Set(ids)).toEqual(new Set([2]));
});
