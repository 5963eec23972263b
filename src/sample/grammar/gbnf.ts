import { CapacityError } from '../../core/errors.ts';
import { type CodePointRange, inverted, MAX_CODE_POINT, normalized, withoutSurrogates } from './code_points.ts';
import { choice, type Expression, type Grammar, repeat, rule, text } from './expression.ts';
import { GrammarCursor } from './grammar_text.ts';

/** Groups inside groups: reading one is a function call. */
export const MAX_GROUPS = 100;

/** No text that fits a context repeats anything more often. */
const MAX_REPETITIONS = 100_000;

const ROOT = 'root';

/**
 * Reads a grammar in GBNF. Its texts are those of the rule `root`.
 *
 *   rule       name ::= alternatives         ends with its line, except after ::= and |, and inside ( )
 *   choice     a | b                         also of nothing: a |
 *   sequence   a b
 *   repetition a*  a+  a?  a{m}  a{m,}  a{m,n}
 *   characters "text"  [a-z_]  [^"\\]  .     escapes \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH
 *   comment    # to the end of the line
 *
 * Throws FormatError with line and column where it is not that, where a rule is missing or defined twice; UnsupportedError for
 * <tokens>; CapacityError for a text, a nesting or a repetition beyond the limits.
 * Source: the form is that of llama.cpp's grammars/README.md.
 */
export function parseGbnf(grammarText: string): Grammar {
  const parser = new GbnfParser(grammarText);
  return { origin: 'grammar', root: ROOT, rules: parser.parse() };
}

class GbnfParser {
  readonly #cursor: GrammarCursor;
  readonly #rules = new Map<string, Expression>();
  /** The first use of each name. */
  readonly #uses = new Map<string, number>();

  constructor(grammarText: string) {
    this.#cursor = new GrammarCursor(grammarText);
  }

  parse(): ReadonlyMap<string, Expression> {
    const cursor = this.#cursor;
    cursor.take('\ufeff'); // some editors put a byte order mark first
    cursor.skipSpace(true);
    while (!cursor.isAtEnd) this.#parseRule();
    for (const [name, at] of this.#uses) {
      if (!this.#rules.has(name)) throw cursor.error(`rule ${name} is not defined; add ${name} ::= ...`, at);
    }
    if (this.#rules.has(ROOT)) return this.#rules;
    throw cursor.error(`there is no rule ${ROOT}, whose texts are wanted; add ${ROOT} ::= ...`);
  }

  #parseRule(): void {
    const cursor = this.#cursor;
    const start = cursor.at;
    const name = cursor.takeName();
    if (name === '') {
      const hint =
        cursor.next === '|' ? '; a rule ends with its line: put | at the end of the line before, or use ( )' : '';
      throw cursor.error(`a rule must begin here with its name, found ${cursor.found}${hint}`);
    }
    cursor.skipSpace(false);
    if (!cursor.take('::=')) throw cursor.error(`expected ::= after the name ${name}, found ${cursor.found}`);
    if (this.#rules.has(name)) throw cursor.error(`rule ${name} is defined twice; use | for alternatives`, start);
    cursor.skipSpace(true);
    this.#rules.set(name, this.#parseChoice(0));
    if (!cursor.isAtEnd && cursor.next !== '\n' && cursor.next !== '\r') {
      throw cursor.error(`expected the end of rule ${name}, found ${cursor.found}`);
    }
    cursor.skipSpace(true);
  }

  /** depth: groups around it; inside one the ends of lines mean nothing. */
  #parseChoice(depth: number): Expression {
    const items = [this.#parseSequence(depth)];
    while (this.#cursor.take('|')) {
      this.#cursor.skipSpace(true);
      items.push(this.#parseSequence(depth));
    }
    return choice(...items);
  }

  #parseSequence(depth: number): Expression {
    const items: Expression[] = [];
    for (;;) {
      const item = this.#parseItem(depth);
      if (item !== undefined) items.push(item);
      else if (!this.#parsePostfix(items)) return { kind: 'sequence', items };
      this.#cursor.skipSpace(depth > 0);
    }
  }

  /** One item without its repetition; undefined when none comes next. */
  #parseItem(depth: number): Expression | undefined {
    const cursor = this.#cursor;
    const start = cursor.at;
    if (cursor.take('"')) return this.#parseLiteral(start);
    if (cursor.take('[')) return this.#parseClass(start);
    if (cursor.take('.')) return { kind: 'chars', ranges: withoutSurrogates([[0, MAX_CODE_POINT]]) };
    if (cursor.take('(')) return this.#parseGroup(start, depth);
    if (cursor.next === '<' || cursor.next === '!') {
      throw cursor.unsupported('tokens by name or id (<...>) are not supported; write their text as a literal');
    }
    const name = cursor.takeName();
    if (name === '') return undefined;
    if (!this.#uses.has(name)) this.#uses.set(name, start);
    return rule(name);
  }

  #parseLiteral(start: number): Expression {
    let exact = '';
    while (!this.#cursor.take('"')) exact += String.fromCodePoint(this.#cursor.takeCharacter('literal', start));
    return text(exact);
  }

  #parseClass(start: number): Expression {
    const cursor = this.#cursor;
    const isNegated = cursor.take('^');
    const ranges: CodePointRange[] = [];
    while (!cursor.take(']')) {
      const at = cursor.at;
      const first = cursor.takeCharacter('class', start);
      let last = first;
      if (cursor.take('-')) {
        // A dash at the end stands for itself.
        if (cursor.next === ']') ranges.push([0x2d, 0x2d]);
        else last = cursor.takeCharacter('class', start);
      }
      if (last < first) throw cursor.error('this range runs backwards; write the lower character first', at);
      ranges.push([first, last]);
    }
    if (ranges.length === 0) throw cursor.error('this class has no characters', start);
    return { kind: 'chars', ranges: withoutSurrogates(isNegated ? inverted(ranges) : normalized(ranges)) };
  }

  #parseGroup(start: number, depth: number): Expression {
    const cursor = this.#cursor;
    if (depth >= MAX_GROUPS) {
      throw new CapacityError(
        `${cursor.error(`more than ${MAX_GROUPS} groups inside each other; name some as rules`).message}`,
      );
    }
    cursor.skipSpace(true);
    const inner = this.#parseChoice(depth + 1);
    if (!cursor.take(')')) {
      if (cursor.isAtEnd) throw cursor.error('this group has no end; close it with )', start);
      throw cursor.error(`expected ) or more of the group, found ${cursor.found}`);
    }
    return inner;
  }

  /** Replaces the last item by its repetition. False when no repetition comes next. */
  #parsePostfix(items: Expression[]): boolean {
    const cursor = this.#cursor;
    const start = cursor.at;
    let counts: readonly [number, number] | undefined;
    if (cursor.take('*')) counts = [0, Infinity];
    else if (cursor.take('+')) counts = [1, Infinity];
    else if (cursor.take('?')) counts = [0, 1];
    else if (cursor.take('{')) counts = this.#parseCounts(start);
    if (counts === undefined) return false;
    const item = items.pop();
    if (item === undefined) throw cursor.error('there is nothing before this to be repeated', start);
    if (item.kind === 'repeat')
      throw cursor.error('this is repeated already; put ( ) around it to repeat it again', start);
    items.push(repeat(item, ...counts));
    return true;
  }

  #parseCounts(start: number): readonly [number, number] {
    const cursor = this.#cursor;
    cursor.skipSpace(false);
    const min = cursor.takeCount();
    if (min === undefined) throw cursor.error(`expected a count, found ${cursor.found}`);
    cursor.skipSpace(false);
    let max = min;
    if (cursor.take(',')) {
      cursor.skipSpace(false);
      max = cursor.takeCount() ?? Infinity;
      cursor.skipSpace(false);
    }
    if (!cursor.take('}')) throw cursor.error(`expected } after the counts, found ${cursor.found}`);
    if (max < min) throw cursor.error(`{${min},${max}}: the second count is below the first`, start);
    if (Math.max(min, max === Infinity ? 0 : max) > MAX_REPETITIONS) {
      throw cursor.error(`more than ${MAX_REPETITIONS} repetitions; leave the upper count out for any number`, start);
    }
    return [min, max];
  }
}
