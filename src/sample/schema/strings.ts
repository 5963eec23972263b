import { ConfigError, UnsupportedError } from '../../core/errors.ts';
import { type Expression, NEVER, repeat, sequence, text } from '../grammar/expression.ts';
import { FORMAT_PATTERNS } from './formats.ts';
import { CHARACTER, STRING } from './json_text.ts';
import { countOf, type Json, KEYWORDS_OF_TYPE } from './keywords.ts';
import { PatternProblem, patternText } from './pattern.ts';

/**
 * The strings of a schema, in quotes. Length counts code points, an escape as one.
 * Throws UnsupportedError for lengths, pattern and format side by side, for another format, for what a pattern may not have;
 * ConfigError for values that these keywords cannot have.
 */
export function stringText(schema: Json, pointer: string): Expression {
  const min = countOf(schema, pointer, 'minLength');
  const max = countOf(schema, pointer, 'maxLength');
  const { pattern, format } = schema;
  const given = KEYWORDS_OF_TYPE.string.filter((keyword) => Object.hasOwn(schema, keyword));
  if (given.length === 0) return STRING;
  if (pattern === undefined && format === undefined) {
    if (max !== undefined && max < (min ?? 0)) return NEVER;
    return sequence(text('"'), repeat(CHARACTER, min ?? 0, max ?? Infinity), text('"'));
  }
  if (given.length > 1) {
    throw new UnsupportedError(
      `schema: ${pointer}: ${JSON.stringify(given[0])} beside ${JSON.stringify(given[1])} is not supported; say the length in the pattern, /^.{1,9}$/`,
    );
  }
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') {
      throw new ConfigError(`schema: ${pointer}/pattern is ${JSON.stringify(pattern)}, must be a text`);
    }
    return quoted(pattern, `${pointer}/pattern`);
  }
  const known = typeof format === 'string' ? FORMAT_PATTERNS.get(format) : undefined;
  if (known === undefined) {
    throw new UnsupportedError(
      `schema: ${pointer}/format is ${JSON.stringify(format)}; supported are ${[...FORMAT_PATTERNS.keys()].join(', ')}`,
    );
  }
  return quoted(known, `${pointer}/format`);
}

function quoted(pattern: string, pointer: string): Expression {
  const inside = patternText(pattern);
  if (!(inside instanceof PatternProblem)) return sequence(text('"'), inside, text('"'));
  if (inside.isUnsupported) {
    throw new UnsupportedError(`schema: ${pointer} ${JSON.stringify(pattern)}: ${inside.message} is not supported`);
  }
  throw new ConfigError(`schema: ${pointer} ${JSON.stringify(pattern)} is no regular expression: ${inside.message}`);
}
