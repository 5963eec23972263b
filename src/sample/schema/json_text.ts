import { type CodePointRange, intersected, inverted, rangesOf, withoutSurrogates } from '../grammar/code_points.ts';
import {
  chars,
  choice,
  EMPTY,
  type Expression,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from '../grammar/expression.ts';

/** Spaces and tabs after a line's end, at most: a model that likes them would otherwise write nothing else. */
const MAX_INDENT = 20;

/** Digits before the point: all such integers are exact in a double. */
const INTEGER_DIGITS = 15;
const FRACTION_DIGITS = 16;
/** With 15 digits before the point, a double still holds it. */
const EXPONENT_DIGITS = 2;

/** What stands for itself between quotes: no quote, no backslash, no control character. */
export const PLAIN = intersected(withoutSurrogates(inverted([])), inverted([...rangesOf('\0\x1f', '""', '\\\\')]));

const hex = chars('09', 'af', 'AF');

/** Where JSON allows white space: nothing, one space, or one new line with its indentation. */
export const SPACE = rule('space');
/** Any character of a string, as itself or as an escape. */
export const CHARACTER = rule('character');
export const STRING = rule('string');
export const NUMBER = rule('number');
export const INTEGER = rule('integer');
export const ANY_VALUE = rule('value');
export const ANY_OBJECT = rule('object');
export const ANY_ARRAY = rule('array');

/** A comma and the space after it. */
export const COMMA = sequence(text(','), SPACE);

/** The exact spelling of a JSON value, without spaces. */
export const spelled = (value: unknown): Expression => text(JSON.stringify(value));

/** "key": value */
export const member = (key: Expression, value: Expression): Expression => sequence(key, text(':'), SPACE, value);

/** Brackets with nothing at all, or with space, contents, space between them; undefined where there can be no such. */
export function bracketed(open: string, close: string, isEmptyAllowed: boolean, contents?: Expression): Expression {
  const inner = contents === undefined ? [] : [sequence(SPACE, contents, SPACE)];
  return sequence(text(open), choice(...(isEmptyAllowed ? [EMPTY] : []), ...inner), text(close));
}

/**
 * One character of these, in one spelling: as itself where a string may hold it, else as the shortest escape. So two strings of
 * such characters are equal only when they are spelled alike.
 */
export function oneSpelling(ranges: readonly CodePointRange[]): Expression {
  const escaped = intersected(ranges, inverted(PLAIN)).flatMap(([first, last]) =>
    last > MAX_ESCAPED ? [] : Array.from({ length: last - first + 1 }, (_, i) => first + i),
  );
  return choice(
    { kind: 'chars', ranges: intersected(ranges, PLAIN) },
    ...escaped.map((codePoint) => text(JSON.stringify(String.fromCodePoint(codePoint)).slice(1, -1))),
  );
}

/** The highest character that must be escaped is the backslash; what is not plain above it are surrogates. */
const MAX_ESCAPED = 0x5c;

/** The rules that all schemas share. */
export const JSON_RULES: ReadonlyMap<string, Expression> = new Map<string, Expression>([
  ['space', choice(EMPTY, text(' '), sequence(text('\n'), repeat(chars('  ', '\t\t'), 0, MAX_INDENT)))],
  [
    'character',
    choice(
      { kind: 'chars', ranges: PLAIN },
      sequence(text('\\'), chars('""', '\\\\', '//', 'bb', 'ff', 'nn', 'rr', 'tt')),
      // \u of a surrogate is half a character; those beyond U+FFFF are written as themselves.
      sequence(text('\\u'), chars('09', 'ac', 'AC', 'ef', 'EF'), hex, hex, hex),
      sequence(text('\\u'), chars('dd', 'DD'), chars('07'), hex, hex),
    ),
  ],
  ['string', sequence(text('"'), repeat(CHARACTER, 0, Infinity), text('"'))],
  ['digits', choice(text('0'), sequence(chars('19'), repeat(chars('09'), 0, INTEGER_DIGITS - 1)))],
  ['integer', choice(rule('digits'), sequence(text('-'), chars('19'), repeat(chars('09'), 0, INTEGER_DIGITS - 1)))],
  [
    'number',
    sequence(
      optional(text('-')),
      rule('digits'),
      optional(sequence(text('.'), repeat(chars('09'), 1, FRACTION_DIGITS))),
      optional(sequence(chars('ee', 'EE'), optional(chars('++', '--')), repeat(chars('09'), 1, EXPONENT_DIGITS))),
    ),
  ],
  ['value', choice(STRING, NUMBER, text('true'), text('false'), text('null'), ANY_OBJECT, ANY_ARRAY)],
  ['object', bracketed('{', '}', true, list(member(STRING, ANY_VALUE)))],
  ['array', bracketed('[', ']', true, list(ANY_VALUE))],
]);

/** One or more, with commas. */
function list(item: Expression): Expression {
  return sequence(item, repeat(sequence(COMMA, item), 0, Infinity));
}
