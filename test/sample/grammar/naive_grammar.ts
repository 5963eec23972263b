import { type CodePointRange, utf8Sequences } from '../../../src/sample/grammar/code_points.ts';
import type { Expression, Grammar } from '../../../src/sample/grammar/expression.ts';

/** What a text is to a grammar, found by trying everything: the definition that the network is held against. */
export interface Verdict {
  /** One of its texts. */
  readonly isText: boolean;
  /** Can be continued, by nothing or by more, to one of its texts. */
  readonly isStart: boolean;
}

/**
 * Reads `bytes` by the form of the expressions alone. For grammars in which every expression has a text, and no left recursion.
 */
export function naiveVerdict(grammar: Grammar, bytes: Uint8Array): Verdict {
  const known = new Map<Expression, Map<number, Reading>>();

  /** Where texts of `expression` that begin at `from` may end, and whether one goes on beyond the end. */
  function read(expression: Expression, from: number): Reading {
    const byStart = known.get(expression) ?? new Map<number, Reading>();
    known.set(expression, byStart);
    const before = byStart.get(from);
    if (before !== undefined) return before;
    const reading = readAnew(expression, from);
    byStart.set(from, reading);
    return reading;
  }

  function readAnew(expression: Expression, from: number): Reading {
    switch (expression.kind) {
      case 'text':
        return readExact([...new TextEncoder().encode(expression.text)], from);
      case 'chars':
        return union(charactersOf(expression.ranges).map((c) => readExact(utf8(c), from)));
      case 'choice':
        return union(expression.items.map((item) => read(item, from)));
      case 'sequence':
        return expression.items.reduce((reading, item) => then(reading, item), here(from));
      case 'rule':
        return read(grammar.rules.get(expression.name)!, from);
      case 'repeat': {
        let reading = here(from);
        let all = expression.min === 0 ? reading : NOTHING;
        for (let i = 1; i <= Math.min(expression.max, bytes.length + expression.min + 1); i++) {
          reading = then(reading, expression.item);
          if (i >= expression.min) all = union([all, reading]);
          else all = { ends: all.ends, goesOn: all.goesOn || reading.goesOn };
        }
        return all;
      }
      default:
        return expression satisfies never;
    }
  }

  function then(before: Reading, item: Expression): Reading {
    const after = union([...before.ends].map((at) => read(item, at)));
    return { ends: after.ends, goesOn: before.goesOn || after.goesOn };
  }

  /** At the end of the bytes, what comes next goes on beyond it: every expression has a text. */
  function readExact(exact: readonly number[], from: number): Reading {
    const n = Math.min(exact.length, bytes.length - from);
    for (let i = 0; i < n; i++) if (exact[i] !== bytes[from + i]) return NOTHING;
    return n === exact.length ? here(from + n) : { ends: new Set(), goesOn: true };
  }

  const reading = read(grammar.rules.get(grammar.root)!, 0);
  const isText = reading.ends.has(bytes.length);
  return { isText, isStart: isText || reading.goesOn };
}

interface Reading {
  readonly ends: ReadonlySet<number>;
  readonly goesOn: boolean;
}

const NOTHING: Reading = { ends: new Set(), goesOn: false };
const here = (at: number): Reading => ({ ends: new Set([at]), goesOn: false });

function union(readings: readonly Reading[]): Reading {
  return { ends: new Set(readings.flatMap((r) => [...r.ends])), goesOn: readings.some((r) => r.goesOn) };
}

function charactersOf(ranges: readonly CodePointRange[]): number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}

const utf8 = (codePoint: number): number[] => [...new TextEncoder().encode(String.fromCodePoint(codePoint))];

/** Whether one of the sequences of a range holds these bytes. */
export function isInSequences(range: CodePointRange, bytes: readonly number[]): boolean {
  return utf8Sequences(range).some(
    (sequence) => sequence.length === bytes.length && sequence.every(([a, b], i) => a <= bytes[i]! && bytes[i]! <= b),
  );
}
