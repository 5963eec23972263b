import { CapacityError, ConfigError } from '../../core/errors.ts';
import { intersected, inverted } from '../grammar/code_points.ts';
import {
  choice,
  EMPTY,
  type Expression,
  NEVER,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from '../grammar/expression.ts';
import { ANY_OBJECT, ANY_VALUE, bracketed, COMMA, member, PLAIN, spelled } from './json_text.ts';
import { isJsonObject, type Json, listOf } from './keywords.ts';
import { below } from './references.ts';

/** What building an object or an array needs of the schema around it. */
export interface Parts {
  /** The values of the schema `value`, which stands at `pointer`. */
  schema(value: unknown, pointer: string): Expression;
  /** Adds a rule of that name. */
  define(name: string, body: Expression): void;
}

/** Keys are told apart one character after the other, each a step inward. */
const MAX_KEY_CHARACTERS = 256;

const REST_OF_KEY = 'rest of a key';

/**
 * Objects: the listed properties in the order in which the schema lists them, then those that `required` adds, then, where
 * additionalProperties allows them in words (or nothing at all is said), others with keys of their own.
 */
export function objectText(schema: Json, pointer: string, parts: Parts): Expression {
  const members = membersOf(schema, pointer, parts);
  const others = othersOf(schema, pointer, parts);
  if (members.length === 0 && others === 'any') return ANY_OBJECT;
  const keys = members.map(({ key }) => key);
  const other = others === 'none' || others === 'any' ? undefined : member(otherKey(keys, pointer, parts), others);

  // after: what may follow once there is a member; first: at least one member, and the commas after it.
  let after: Expression = other === undefined ? EMPTY : repeat(sequence(COMMA, other), 0, Infinity);
  let first: Expression = other === undefined ? NEVER : sequence(other, after);
  for (let i = members.length - 1; i >= 0; i--) {
    const { expression, isRequired } = members[i]!;
    const tail = named(`${pointer} after ${i}`, after, parts);
    const here = sequence(expression, tail);
    first = isRequired ? here : choice(here, named(`${pointer} first ${i}`, first, parts));
    const next = sequence(COMMA, expression);
    after = sequence(isRequired ? next : optional(next), tail);
  }
  return bracketed('{', '}', !members.some((m) => m.isRequired), first);
}

function named(name: string, body: Expression, parts: Parts): Expression {
  parts.define(name, body);
  return rule(name);
}

interface Member {
  readonly key: string;
  readonly isRequired: boolean;
  readonly expression: Expression;
}

function membersOf(schema: Json, pointer: string, parts: Parts): Member[] {
  const { properties = {}, additionalProperties } = schema;
  if (!isJsonObject(properties)) {
    throw new ConfigError(
      `schema: ${pointer}/properties is ${JSON.stringify(properties)}, must be an object of schemas`,
    );
  }
  const required = new Set(listOf(schema, pointer, 'required'));
  for (const key of required) {
    if (typeof key === 'string') continue;
    throw new ConfigError(`schema: ${pointer}/required has ${JSON.stringify(key)}, must be a list of names`);
  }
  const member_ = (key: string, value: Expression): Member => ({
    key,
    isRequired: required.has(key),
    expression: member(spelled(key), value),
  });
  const listed = Object.entries(properties).map(([key, value]) =>
    member_(key, parts.schema(value, below(pointer, 'properties', key))),
  );
  const unlisted = [...(required as Set<string>)].filter((key) => !Object.hasOwn(properties, key));
  const valueOfOthers = (): Expression =>
    additionalProperties === undefined
      ? ANY_VALUE
      : parts.schema(additionalProperties, below(pointer, 'additionalProperties'));
  return [...listed, ...unlisted.map((key) => member_(key, valueOfOthers()))];
}

/** Values of keys that are not named: 'any' where nothing is said of any key, 'none' where they are not wanted. */
function othersOf(schema: Json, pointer: string, parts: Parts): Expression | 'any' | 'none' {
  const { additionalProperties, properties, required } = schema;
  if (additionalProperties === false) return 'none';
  if (additionalProperties === undefined) return properties === undefined && required === undefined ? 'any' : 'none';
  return parts.schema(additionalProperties, below(pointer, 'additionalProperties'));
}

/** Any string but these keys, of characters that need no escape: a key in another spelling would be the same key. */
function otherKey(keys: readonly string[], pointer: string, parts: Parts): Expression {
  const long = keys.find((key) => key.length > MAX_KEY_CHARACTERS);
  if (long !== undefined) {
    throw new CapacityError(
      `schema: ${pointer}/additionalProperties beside a key of ${long.length} characters, at most ${MAX_KEY_CHARACTERS}; set it to false`,
    );
  }
  parts.define(REST_OF_KEY, repeat({ kind: 'chars', ranges: PLAIN }, 0, Infinity));
  const notThese = (rests: readonly (readonly number[])[]): Expression => {
    const byFirst = new Map<number, (readonly number[])[]>();
    for (const [first, ...rest] of rests) {
      if (first !== undefined) byFirst.set(first, [...(byFirst.get(first) ?? []), rest]);
    }
    const end = rests.some((rest) => rest.length === 0) ? [] : [EMPTY];
    const others = intersected(inverted([...byFirst.keys()].map((c) => [c, c])), PLAIN);
    const goesOn = [...byFirst].map(([c, same]) => {
      return sequence({ kind: 'chars', ranges: intersected([[c, c]], PLAIN) }, notThese(same));
    });
    return choice(...end, sequence({ kind: 'chars', ranges: others }, rule(REST_OF_KEY)), ...goesOn);
  };
  return sequence(text('"'), notThese(keys.map((key) => Array.from(key, (c) => c.codePointAt(0)!))), text('"'));
}
