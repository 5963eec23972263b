import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { finishAtId, finishAtLimit, type StopRules, validateStopping } from '../../src/sample/stopping.ts';

const rules: StopRules = { eosIds: new Set([2, 5]), stopIds: new Set([5, 7]), maxTokens: 3, maxSeq: 10 };

describe('stopping', () => {
  test('at an end token, at a stop id, at both as an end token', () => {
    expect([1, 2, 5, 7].map((id) => finishAtId(id, rules))).toEqual([undefined, 'eos', 'eos', 'stop']);
  });

  test('after maxTokens tokens, not before', () => {
    expect([1, 2, 3, 4].map((n) => finishAtLimit(n, 5, rules))).toEqual([undefined, undefined, 'length', 'length']);
    expect(finishAtLimit(1e15, 5, { ...rules, maxTokens: Infinity })).toBe(undefined);
  });

  test('when no position is left for the token, length first', () => {
    expect([8, 9, 10, 11].map((n) => finishAtLimit(1, n, rules))).toEqual([undefined, undefined, 'context', 'context']);
    expect(finishAtLimit(3, 10, rules)).toBe('length');
  });

  test('rules that make no sense are refused by name', () => {
    validateStopping(rules);
    validateStopping({ ...rules, maxTokens: Infinity });
    for (const maxTokens of [0, -1, 1.5, NaN]) {
      expect(() => validateStopping({ ...rules, maxTokens })).toThrow(ConfigError);
      expect(() => validateStopping({ ...rules, maxTokens })).toThrow(`max-tokens is ${maxTokens}, must be`);
    }
    for (const maxSeq of [0, 0.5, NaN, Infinity]) {
      expect(() => validateStopping({ ...rules, maxSeq })).toThrow(`max-seq is ${maxSeq}, must be`);
    }
    expect(() => validateStopping({ ...rules, stopIds: new Set([-4]) })).toThrow('stop id is -4, must be');
  });
});
