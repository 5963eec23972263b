import { EMPTY, type Expression, optional, repeat, rule, sequence } from '../grammar/expression.ts';
import { ANY_ARRAY, ANY_VALUE, bracketed, COMMA } from './json_text.ts';
import { countOf, type Json, listOf } from './keywords.ts';
import type { Parts } from './objects.ts';
import { below } from './references.ts';

/**
 * Arrays: prefixItems in their order, then `items`. Where `items` is left out beside prefixItems, elements after the prefix are
 * written only as far as minItems asks for them.
 */
export function arrayText(schema: Json, pointer: string, parts: Parts): Expression {
  const given = listOf(schema, pointer, 'prefixItems') ?? [];
  const min = countOf(schema, pointer, 'minItems') ?? 0;
  const max = countOf(schema, pointer, 'maxItems') ?? Infinity;
  const { items } = schema;
  if (given.length === 0 && items === undefined && min === 0 && max === Infinity) return ANY_ARRAY;

  const prefix = given.map((value, i) => parts.schema(value, below(pointer, 'prefixItems', i)));
  const more = items === undefined ? ANY_VALUE : parts.schema(items, below(pointer, 'items'));
  const most = items === undefined && prefix.length > 0 ? Math.min(max, Math.max(min, prefix.length)) : max;
  if (max < min) return { kind: 'choice', items: [] };

  // after: what may follow i elements.
  const n = Math.max(1, prefix.length);
  let after: Expression = most <= n ? EMPTY : repeat(sequence(COMMA, more), Math.max(0, min - n), most - n);
  for (let i = n - 1; i >= 1; i--) {
    parts.define(`${pointer} after ${i}`, after);
    const next = sequence(COMMA, prefix[i]!, rule(`${pointer} after ${i}`));
    after = i >= most ? EMPTY : i >= min ? optional(next) : next;
  }
  const contents = most === 0 ? undefined : sequence(prefix[0] ?? more, after);
  return bracketed('[', ']', min === 0, contents);
}
