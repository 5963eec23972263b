import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createReasoningSplitter,
  endsOpened,
  REASONING_MARKERS,
  type ReasoningMarkers,
  type ReasoningSplitter,
  reasoningOf,
} from '../../src/text/reasoning.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { SEARCH } from '../support/mutant_search.ts';

const MARKERS: ReasoningMarkers = { open: '<t>', close: '</t>' };

interface Told {
  readonly reasoning: string;
  readonly answer: string;
}

/** What the splitter's comment says, on the whole text at once. */
function defined(text: string, { open, close }: ReasoningMarkers, isOpened: boolean): Told {
  const start = text.trimStart();
  if (!isOpened && !start.startsWith(open)) return { reasoning: '', answer: text };
  const inside = isOpened ? text : start.slice(open.length);
  const end = inside.trimStart().indexOf(close);
  if (end < 0) return { reasoning: inside.trim(), answer: '' };
  const thoughts = inside.trimStart();
  return { reasoning: thoughts.slice(0, end).trim(), answer: thoughts.slice(end + close.length).trimStart() };
}

function streamed(splitter: ReasoningSplitter, pieces: readonly string[]): Told & { readonly isInOrder: boolean } {
  const parts = [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.flush()];
  const join = (kind: string): string =>
    parts
      .filter((part) => part.kind === kind)
      .map((part) => part.text)
      .join('');
  const isInOrder = !/answer,reasoning/.test(parts.map(({ kind }) => kind).join());
  return { reasoning: join('reasoning'), answer: join('answer'), isInOrder };
}

/** Markers whole, halved, doubled and nested, blanks everywhere: cut into pieces that may be empty. */
const pieces = fc.array(
  fc.constantFrom('<t>', '</t>', '<', 't>', '</', '/t', '<t', '</t', ' ', '\n\n', 'a', 'bc', '', '<t></t>', '>'),
  { maxLength: 9 },
);

type Make = typeof createReasoningSplitter;
const agrees = (make: Make) =>
  fc.property(pieces, fc.boolean(), (list, isOpened) => {
    const { isInOrder, ...told } = streamed(make(MARKERS, isOpened), list);
    const expected = defined(list.join(''), MARKERS, isOpened);
    return isInOrder && told.reasoning === expected.reasoning && told.answer === expected.answer;
  });

describe('createReasoningSplitter', () => {
  test('tells the same whatever the pieces', () => fc.assert(agrees(createReasoningSplitter), { numRuns: 2000 }));

  test.each<[string, Make]>([
    [
      'forgets what it holds back',
      (markers, isOpened) => ({ ...createReasoningSplitter(markers, isOpened), flush: () => [] }),
    ],
    ['does not know of a marker in the prompt', (markers) => createReasoningSplitter(markers, false)],
    [
      'looks at each piece alone',
      (markers) => {
        let kind: 'reasoning' | 'answer' = 'answer';
        return {
          push(text) {
            if (text === markers.open) kind = 'reasoning';
            else if (text === markers.close) kind = 'answer';
            else return [{ kind, text }];
            return [];
          },
          flush: () => [],
        };
      },
    ],
  ])('one that %s is caught', (_name, mutant) => {
    expect(fc.check(agrees(mutant), SEARCH).failed).toBe(true);
  });

  test('text is given out as soon as it cannot be a marker', () => {
    const { push, flush } = createReasoningSplitter({ open: '<think>', close: '</think>' }, false);
    expect(push('\n<th')).toEqual([]);
    expect(push('ink>\nTwo')).toEqual([{ kind: 'reasoning', text: 'Two' }]);
    expect(push(' and')).toEqual([{ kind: 'reasoning', text: ' and' }]);
    expect(push('\n\n</thin')).toEqual([]);
    expect(push('g\n</think>\n\n4')).toEqual([
      { kind: 'reasoning', text: '\n\n</thing' },
      { kind: 'answer', text: '4' },
    ]);
    expect(push('<think>')).toEqual([{ kind: 'answer', text: '<think>' }]);
    expect(flush()).toEqual([]);
  });

  test('thoughts that never end are thoughts, half a marker too', () => {
    expect(streamed(createReasoningSplitter(MARKERS, false), ['<t>', 'so', ' </'])).toMatchObject({
      reasoning: 'so </',
      answer: '',
    });
  });
});

describe('what a model has', () => {
  const vocab = { a: 0, '<': 1, think: 2, '>': 3, Ċ: 4 };
  const tokenizer = createTokenizer({
    tokenizerJson: {
      added_tokens: [
        { id: 5, content: '[THINK]', special: true },
        { id: 6, content: '[/THINK]', special: false },
        { id: 7, content: '<|end|>', special: true },
      ],
      model: { type: 'BPE', vocab, merges: [] },
      decoder: { type: 'ByteLevel' },
    },
  });
  const magistral = REASONING_MARKERS.find(({ open }) => open === '[THINK]')!;

  test('markers, by its template', () => {
    for (const markers of REASONING_MARKERS) {
      const told = reasoningOf(`{{ x }}${markers.open}`, tokenizer)!.begin([0]);
      expect(told.push(`${markers.open}a`)).toEqual([{ kind: 'reasoning', text: 'a' }]);
      const closing = reasoningOf(`{{ x.split('${markers.close}') }}`, tokenizer)!.begin([0]);
      expect(closing.push(`${markers.open}${markers.close}a`)).toEqual([{ kind: 'answer', text: 'a' }]);
    }
    expect(reasoningOf('{{ messages }}', tokenizer)).toBe(null);
  });

  test('markers that add no text are those that are special tokens', () => {
    expect(reasoningOf('[THINK]', tokenizer)!.spelled).toEqual(new Set([5]));
    expect(reasoningOf('<think>', tokenizer)!.spelled).toEqual(new Set());
  });

  test('a thought that the prompt opens: at its very end, blanks aside', () => {
    const [think] = REASONING_MARKERS;
    expect(endsOpened(think!, tokenizer, [0, 1, 2, 3, 4])).toBe(true);
    expect(endsOpened(think!, tokenizer, [0, 1, 2, 3])).toBe(true);
    expect(endsOpened(think!, tokenizer, [1, 2, 3, 0])).toBe(false);
    // A user who writes the marker does not open a thought: his turn has an end, which is a special token.
    expect(endsOpened(think!, tokenizer, [1, 2, 3, 7])).toBe(false);
    expect(endsOpened(magistral, tokenizer, [0, 5])).toBe(true);
  });
});
