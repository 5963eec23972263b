import { type CodePointRange, inverted, normalized, rangesOf } from '../grammar/code_points.ts';
import { choice, EMPTY, type Expression, repeat, sequence } from '../grammar/expression.ts';
import { oneSpelling } from './json_text.ts';

/** What a pattern asks for that is not supported, or why it is no pattern. */
export class PatternProblem {
  readonly message: string;
  readonly isUnsupported: boolean;
  constructor(message: string, isUnsupported: boolean) {
    this.message = message;
    this.isUnsupported = isUnsupported;
  }
}

/** Groups inside groups: reading one is a function call. */
const MAX_GROUPS = 50;

const ALL = inverted([]);
const LINE_ENDS = rangesOf('\n\n', '\r\r', '\u2028\u2029');
const DIGITS = rangesOf('09');
const WORD = rangesOf('az', 'AZ', '09', '__');
const BLANKS = rangesOf(
  '\t\r',
  '  ',
  '\xa0\xa0',
  '\u1680\u1680',
  '\u2000\u200a',
  '\u2028\u2029',
  '\u202f\u202f',
  '\u205f\u205f',
  '\u3000\u3000',
  '\ufeff\ufeff',
);

const SETS: ReadonlyMap<string, readonly CodePointRange[]> = new Map([
  ['d', DIGITS],
  ['D', inverted(DIGITS)],
  ['w', WORD],
  ['W', inverted(WORD)],
  ['s', BLANKS],
  ['S', inverted(BLANKS)],
]);
const CONTROLS: ReadonlyMap<string, string> = new Map(
  Object.entries({ n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', '0': '\0' }),
);

/**
 * The strings that a regular expression finds something in, as the inside of a JSON string, each in one spelling.
 *
 * Supported: characters, ".", classes, \d \w \s and their opposites, \n \r \t \f \v \0 \xHH \uHHHH \u{H}, groups, |, * + ? {m,n}; ^ at the
 * start and $ at the end of an alternative of the whole pattern. As with the flag u, which is how JSON Schema reads patterns;
 * characters are code points. Gives a PatternProblem for anything else.
 * Source: ECMA-262, 22.2.1; JSON Schema 2020-12, core 6.4.
 */
export function patternText(pattern: string): Expression | PatternProblem {
  try {
    new RegExp(pattern, 'u');
  } catch (e) {
    return new PatternProblem((e as Error).message, false);
  }
  try {
    return new PatternParser(pattern).parse();
  } catch (e) {
    if (e instanceof PatternProblem) return e;
    throw e;
  }
}

/** Reads what RegExp has accepted, so the form of what it meets is certain. */
class PatternParser {
  readonly #characters: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#characters = [...pattern];
  }

  parse(): Expression {
    const anything = repeat(oneSpelling(ALL), 0, Infinity);
    const ways: Expression[] = [];
    do {
      const isAtStart = this.#take('^');
      const body = this.#parseSequence(0);
      const isAtEnd = this.#take('$');
      ways.push(sequence(isAtStart ? EMPTY : anything, body, isAtEnd ? EMPTY : anything));
    } while (this.#take('|'));
    if (this.#next !== undefined) throw unsupported(`${this.#next} in the middle`);
    return choice(...ways);
  }

  get #next(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(character: string): boolean {
    if (this.#next !== character) return false;
    this.#at++;
    return true;
  }

  #parseSequence(depth: number): Expression {
    const items: Expression[] = [];
    while (this.#next !== undefined && this.#next !== '|' && this.#next !== ')') {
      if (this.#next === '$' && depth === 0) break;
      items.push(this.#parseRepeated(depth));
    }
    return { kind: 'sequence', items };
  }

  #parseRepeated(depth: number): Expression {
    const item = this.#parseAtom(depth);
    let counts: readonly [number, number] | undefined;
    if (this.#take('*')) counts = [0, Infinity];
    else if (this.#take('+')) counts = [1, Infinity];
    else if (this.#take('?')) counts = [0, 1];
    else if (this.#take('{')) counts = this.#parseCounts();
    if (counts === undefined) return item;
    this.#take('?'); // lazy or not, the texts are the same
    return repeat(item, ...counts);
  }

  #parseCounts(): readonly [number, number] {
    const end = this.#characters.indexOf('}', this.#at);
    const [min, max] = this.#characters.slice(this.#at, end).join('').split(',');
    this.#at = end + 1;
    return [Number(min), max === undefined ? Number(min) : max === '' ? Infinity : Number(max)];
  }

  #parseAtom(depth: number): Expression {
    const character = this.#characters[this.#at++]!;
    switch (character) {
      case '(':
        return this.#parseGroup(depth);
      case '[':
        return oneSpelling(this.#parseClass());
      case '.':
        return oneSpelling(inverted(LINE_ENDS));
      case '^':
      case '$':
        throw unsupported(`${character} in the middle`);
      case '\\':
        return oneSpelling(this.#parseEscape());
      default:
        return oneSpelling([one(character)]);
    }
  }

  #parseGroup(depth: number): Expression {
    if (depth >= MAX_GROUPS) throw unsupported(`more than ${MAX_GROUPS} groups inside each other`);
    if (this.#take('?')) {
      if (this.#take('<') && this.#next !== '=' && this.#next !== '!') {
        this.#at = this.#characters.indexOf('>', this.#at) + 1; // a name
      } else if (!this.#take(':')) {
        throw unsupported('looking ahead or behind, or flags: (?');
      }
    }
    const ways: Expression[] = [];
    do ways.push(this.#parseSequence(depth + 1));
    while (this.#take('|'));
    this.#take(')');
    return choice(...ways);
  }

  #parseClass(): readonly CodePointRange[] {
    const isNegated = this.#take('^');
    const ranges: CodePointRange[] = [];
    while (!this.#take(']')) {
      const set = this.#parseClassAtom();
      const isRange = this.#next === '-' && this.#characters[this.#at + 1] !== ']';
      if (!isRange) {
        ranges.push(...set);
        continue;
      }
      this.#at++;
      ranges.push([set[0]![0], this.#parseClassAtom()[0]![1]]);
    }
    return isNegated ? inverted(ranges) : normalized(ranges);
  }

  #parseClassAtom(): readonly CodePointRange[] {
    const character = this.#characters[this.#at++]!;
    if (character !== '\\') return [one(character)];
    if (this.#take('b')) return [one('\b')]; // inside a class, a backspace
    return this.#parseEscape();
  }

  #parseEscape(): readonly CodePointRange[] {
    const letter = this.#characters[this.#at++]!;
    const set = SETS.get(letter);
    if (set !== undefined) return set;
    const control = CONTROLS.get(letter);
    if (control !== undefined) return [one(control)];
    if (letter === 'x') return this.#parseHex(2);
    if (letter === 'u') {
      if (!this.#take('{')) return this.#parseHex(4);
      const codePoint = this.#parseHex(this.#characters.indexOf('}', this.#at) - this.#at);
      this.#take('}');
      return codePoint;
    }
    if (/[A-Za-z1-9]/.test(letter)) throw unsupported(`\\${letter}`);
    return [one(letter)];
  }

  #parseHex(nDigits: number): readonly CodePointRange[] {
    const codePoint = Number.parseInt(this.#characters.slice(this.#at, this.#at + nDigits).join(''), 16);
    this.#at += nDigits;
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) throw unsupported('\\u of a surrogate');
    return [[codePoint, codePoint]];
  }
}

function one(character: string): CodePointRange {
  const codePoint = character.codePointAt(0)!;
  return [codePoint, codePoint];
}

function unsupported(what: string): PatternProblem {
  return new PatternProblem(what, true);
}
