import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Expression, Grammar } from '../../../src/sample/grammar/expression.ts';
import { parseGbnf } from '../../../src/sample/grammar/gbnf.ts';
import { MAX_STATE_BYTES } from '../../../src/sample/grammar/states.ts';
import { grammarMasks, MAX_MASK_BYTES } from '../../../src/sample/grammar/token_masks.ts';
import { type TokenTrie, tokenTrie } from '../../../src/sample/grammar/token_trie.ts';
import { SEARCH } from '../../support/mutant_search.ts';
import { isInSequences, naiveVerdict } from './naive_grammar.ts';
import { randomGrammar, VOCABULARY } from './random_grammar.ts';

const bytesOf = (id: number): Uint8Array => VOCABULARY[id]!;
const TRIE = tokenTrie(VOCABULARY.length, bytesOf);
const END = 17; // a token without bytes

const joined = (ids: readonly number[]): Uint8Array => Uint8Array.from(ids.flatMap((id) => [...bytesOf(id)]));
const isSet = (bits: Uint32Array, id: number): boolean => ((bits[id >> 5]! >>> (id & 31)) & 1) === 1;

let nAgreed = 0;

/** Walks by `choices` through tokens that are allowed; at each step every token must be judged as by itself. */
function agrees(grammar: Grammar, choices: readonly number[], trie: TokenTrie, dropsLeadingSpace = false): boolean {
  const text = grammarMasks(grammar, { trie, bytesOf }).begin({ endIds: [END], dropsLeadingSpace });
  const ids: number[] = [];
  const seen = (all: readonly number[]): Uint8Array => {
    const bytes = joined(all);
    return dropsLeadingSpace && bytes[0] === 0x20 ? bytes.subarray(1) : bytes;
  };
  for (const choice of choices) {
    const { bits } = text.mask();
    const allowed: number[] = [];
    for (let id = 0; id < VOCABULARY.length; id++) {
      const adds = seen([...ids, id]).length > seen(ids).length;
      const may =
        id === END
          ? naiveVerdict(grammar, seen(ids)).isText
          : adds && naiveVerdict(grammar, seen([...ids, id])).isStart;
      if (may !== isSet(bits, id)) return false;
      if (may && id !== END) allowed.push(id);
    }
    nAgreed++;
    if (text.mayEnd !== naiveVerdict(grammar, seen(ids)).isText) return false;
    if (allowed.length === 0) return true;
    const id = allowed[choice % allowed.length]!;
    text.accept(id);
    ids.push(id);
  }
  return true;
}

const texts = fc.array(fc.nat(VOCABULARY.length - 1), { maxLength: 5 }).map(joined);

function acceptsAsNaive(read: Grammar, defined: Grammar, text: Uint8Array): boolean {
  return grammarMasks(read, { trie: TRIE, bytesOf }).accepts(text) === naiveVerdict(defined, text).isText;
}

const walks = fc.array(fc.nat(999), { minLength: 1, maxLength: 6 });

describe('a mask holds the tokens that each by itself can be added', () => {
  test('for random grammars, along random texts', () => {
    fc.assert(
      fc.property(randomGrammar, walks, (g, choices) => agrees(g, choices, TRIE)),
      { seed: 1, numRuns: 100 },
    );
    expect(nAgreed).toBeGreaterThan(200); // masks compared
  });

  test('and where a leading space is not shown', () => {
    fc.assert(
      fc.property(randomGrammar, walks, (g, choices) => agrees(g, choices, TRIE, true)),
      { seed: 1, numRuns: 60 },
    );
  });

  const broken: [string, Partial<TokenTrie>][] = [
    ['a dead branch that is walked on', { end: TRIE.end.map((_, i) => i + 1) }],
    ['a branch that is left too late', { end: TRIE.end.map((end) => Math.min(end + 1, TRIE.nNodes)) }],
    ['tokens of the next node', { firstToken: TRIE.firstToken.map((_, i, all) => all[Math.min(i + 1, TRIE.nNodes)]!) }],
  ];
  test.each(broken)('and %s is caught', (_, change) => {
    const result = fc.check(
      fc.property(randomGrammar, walks, (g, choices) => agrees(g, choices, { ...TRIE, ...change })),
      SEARCH,
    );
    expect(result.failed).toBe(true);
  });

  test('and a repetition that may go on once more is caught', () => {
    const longer = (e: Expression): Expression => {
      if (e.kind === 'repeat') return { ...e, item: longer(e.item), max: e.max + 1 };
      return e.kind === 'sequence' || e.kind === 'choice' ? { ...e, items: e.items.map(longer) } : e;
    };
    const property = fc.property(randomGrammar, texts, (g, text) => {
      const rules = new Map([...g.rules].map(([name, body]) => [name, longer(body)]));
      return acceptsAsNaive({ ...g, rules }, g, text);
    });
    expect(fc.check(property, { seed: 1, numRuns: 2000, endOnFailure: true }).failed).toBe(true);
  });
});

test('whole texts are accepted as the naive reading accepts them', () => {
  fc.assert(
    fc.property(randomGrammar, texts, (g, text) => acceptsAsNaive(g, g, text)),
    { seed: 2, numRuns: 500 },
  );
});

test('UTF-8 of a range: its characters, each once, and nothing else', () => {
  const edges = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdfff, 0xe000, 0xffff, 0x10000, 0x10ffff];
  const point = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 0, max: 0x10ffff }));
  fc.assert(
    fc.property(point, point, fc.array(point, { minLength: 20, maxLength: 20 }), (a, b, points) => {
      const range = [Math.min(a, b), Math.max(a, b)] as const;
      for (const p of [...points, ...range, range[0] - 1, range[1] + 1]) {
        if (p < 0 || p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff)) continue;
        const utf8 = [...new TextEncoder().encode(String.fromCodePoint(p))];
        expect(isInSequences(range, utf8)).toBe(range[0] <= p && p <= range[1]);
      }
      expect(isInSequences(range, [0xed, 0xa0, 0x80])).toBe(false); // a surrogate
      expect(isInSequences(range, [0xc0, 0x80])).toBe(false); // too long a form
    }),
  );
});

describe('one text', () => {
  const masks = grammarMasks(parseGbnf('root ::= "ab" | "abc" "a"'), { trie: TRIE, bytesOf });

  test('may end, must end', () => {
    const text = masks.begin({ endIds: [END] });
    expect([text.mayEnd, text.mustEnd]).toEqual([false, false]);
    text.accept(7); // ab
    expect([text.mayEnd, text.mustEnd]).toEqual([true, false]);
    text.accept(14); // ca
    expect([text.mayEnd, text.mustEnd]).toEqual([true, true]);
    expect(text.mask().bits.reduce((n, w) => n + w, 0)).toBe(1 << END);
  });

  test.each([
    ['a token that does not go on', 3],
    ['a token without bytes', 17],
  ])('%s is refused', (_, id) => {
    const text = masks.begin({ endIds: [] });
    expect(() => text.accept(id)).toThrow(`the grammar does not allow token id ${id} here`);
  });

  test('a token that is a stop id is allowed where the grammar may end, and only there', () => {
    const text = masks.begin({ endIds: [0, END] });
    expect(isSet(text.mask().bits, 0)).toBe(false);
    text.accept(7);
    expect(isSet(text.mask().bits, 0)).toBe(true);
  });
});

test('what is remembered stays within its bound, and a mask that was forgotten comes again', () => {
  const vocab = 1 << 21; // a mask takes 262 kB, 32 of them are all that fits
  const trie = { ...TRIE, vocab };
  const masks = grammarMasks(parseGbnf('root ::= [a-c]{0,200} "é"'), { trie, bytesOf });
  const words = (): Uint32Array[] => {
    const text = masks.begin({ endIds: [] });
    const all: Uint32Array[] = [];
    for (let i = 0; i < 150; i++) {
      all.push(text.mask().bits.slice(0, 2));
      expect(masks.bytesInUse).toBeLessThanOrEqual(MAX_MASK_BYTES + 200_000);
      text.accept(i % 3);
    }
    return all;
  };
  const first = words();
  expect(150 * (vocab / 8)).toBeGreaterThan(3 * MAX_MASK_BYTES);
  expect(words()).toEqual(first);
});

test('states too, in the middle of a text', () => {
  const masks = grammarMasks(parseGbnf('root ::= [a-c]{0,60000} "é"'), { trie: TRIE, bytesOf });
  const text = masks.begin({ endIds: [] });
  let most = 0;
  let nForgotten = 0;
  for (let i = 0; i < 60_000; i++) {
    const before = masks.bytesInUse;
    text.accept(i % 3);
    if (masks.bytesInUse < before) nForgotten++;
    most = Math.max(most, masks.bytesInUse);
  }
  expect(most).toBeLessThanOrEqual(MAX_STATE_BYTES + 1000);
  expect(nForgotten).toBeGreaterThan(0);
  text.accept(3);
  expect(text.mustEnd).toBe(true);
});
