import { CapacityError, ConfigError, UnsupportedError } from '../../core/errors.ts';
import { choice, type Expression, type Grammar, NEVER, rule, text } from '../grammar/expression.ts';
import { arrayText } from './arrays.ts';
import { areDisjoint } from './disjoint.ts';
import { ANY_VALUE, INTEGER, JSON_RULES, NUMBER, spelled } from './json_text.ts';
import {
  checkKeywords,
  type Json,
  listOf,
  type Subschema,
  TYPE_NAMES,
  type TypeName,
  typesOf,
  WHOLE,
} from './keywords.ts';
import { type Bound, decimalsBetween, EXACT_DIGITS, integersBetween } from './numbers.ts';
import { objectText, type Parts } from './objects.ts';
import { referred, subschema } from './references.ts';
import { stringText } from './strings.ts';

/** A schema for a person has a few dozen; each is looked at once. */
const MAX_SUBSCHEMAS = 50_000;

/**
 * The JSON texts of a schema (draft 2020-12, the keywords of keywords.ts) as a grammar: each of its texts parses as JSON, and the
 * value is valid. Not each valid value is one of its texts: docs/structured.md says which spellings, orders and sizes are left out.
 *
 * schema: a value that JSON.parse gave.
 * Throws UnsupportedError that names a keyword and its place (a JSON pointer), ConfigError for a value that a keyword cannot have,
 * CapacityError for too many subschemas.
 */
export function schemaGrammar(schema: unknown): Grammar {
  return { origin: 'schema', root: '#', rules: new SchemaReader(subschema(schema, '#')).read() };
}

class SchemaReader implements Parts {
  readonly #root: Subschema;
  readonly #rules = new Map(JSON_RULES);
  /** Schemas that were met, by pointer: a $ref to one is a call of its rule, so recursion costs nothing here. */
  readonly #met = new Set<string>();
  readonly #waiting: Subschema[] = [];

  constructor(root: Subschema) {
    this.#root = root;
  }

  read(): ReadonlyMap<string, Expression> {
    this.#ruleOf(this.#root);
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) {
      this.#rules.set(next.pointer, this.#textOf(next));
    }
    return this.#rules;
  }

  schema(value: unknown, pointer: string): Expression {
    return this.#ruleOf(subschema(value, pointer));
  }

  define(name: string, body: Expression): void {
    this.#rules.set(name, body);
  }

  #ruleOf(sub: Subschema): Expression {
    if (!this.#met.has(sub.pointer)) {
      if (this.#met.size >= MAX_SUBSCHEMAS) {
        throw new CapacityError(`schema: ${sub.pointer}: more than ${MAX_SUBSCHEMAS} subschemas; make it smaller`);
      }
      this.#met.add(sub.pointer);
      this.#waiting.push(sub);
    }
    return rule(sub.pointer);
  }

  #textOf(sub: Subschema): Expression {
    const { schema, pointer } = sub;
    if (typeof schema === 'boolean') return schema ? ANY_VALUE : NEVER;
    checkKeywords(sub);
    const whole = WHOLE.find((keyword) => Object.hasOwn(schema, keyword));
    if (whole !== undefined) return this.#wholeText(schema, pointer, whole);
    const types = typesOf({ schema, pointer });
    if (types === undefined) return ANY_VALUE;
    return choice(...types.map((type) => this.#typeText(type, schema, pointer)));
  }

  #wholeText(schema: Json, pointer: string, keyword: (typeof WHOLE)[number]): Expression {
    switch (keyword) {
      case '$ref':
        return this.#ruleOf(referred(this.#root.schema, schema['$ref'], pointer));
      case 'const':
        return this.#valuesText([schema['const']], schema, pointer);
      case 'enum':
        return this.#valuesText(listOf(schema, pointer, 'enum')!, schema, pointer);
      case 'anyOf':
        return choice(...this.#alternatives(schema, pointer, 'anyOf').map((sub) => this.#ruleOf(sub)));
      case 'oneOf': {
        const alternatives = this.#alternatives(schema, pointer, 'oneOf');
        this.#checkDisjoint(alternatives, pointer);
        return choice(...alternatives.map((sub) => this.#ruleOf(sub)));
      }
      case 'allOf': {
        const [only, second] = this.#alternatives(schema, pointer, 'allOf');
        if (second === undefined) return this.#ruleOf(only!);
        throw new UnsupportedError(
          `schema: ${pointer}/allOf has several schemas; one is supported, write them together into it`,
        );
      }
      default:
        return keyword satisfies never;
    }
  }

  #alternatives(schema: Json, pointer: string, keyword: string): Subschema[] {
    const list = listOf(schema, pointer, keyword)!;
    if (list.length === 0)
      throw new ConfigError(`schema: ${pointer}/${keyword} is an empty list; give at least one schema`);
    return list.map((value, i) => subschema(value, `${pointer}/${keyword}/${i}`));
  }

  #valuesText(values: readonly unknown[], schema: Json, pointer: string): Expression {
    const types = typesOf({ schema, pointer }) ?? TYPE_NAMES;
    const fitting = values.filter((value) => types.some((type) => isOfType(value, type)));
    const spellings = new Map(fitting.map((value) => [JSON.stringify(value), value]));
    return choice(...[...spellings.values()].map(spelled));
  }

  #checkDisjoint(alternatives: readonly Subschema[], pointer: string): void {
    for (const [i, a] of alternatives.entries()) {
      for (const [j, b] of alternatives.slice(0, i).entries()) {
        if (areDisjoint(this.#root.schema, a, b)) continue;
        throw new UnsupportedError(
          `schema: ${pointer}/oneOf: a value may fit ${j} and ${i} at once, as far as can be seen; use anyOf, or tell them apart by type or by a required const`,
        );
      }
    }
  }

  #typeText(type: TypeName, schema: Json, pointer: string): Expression {
    switch (type) {
      case 'null':
        return text('null');
      case 'boolean':
        return choice(text('true'), text('false'));
      case 'string':
        return stringText(schema, pointer);
      case 'integer':
      case 'number':
        return numberText(type, schema, pointer);
      case 'array':
        return arrayText(schema, pointer, this);
      case 'object':
        return objectText(schema, pointer, this);
      default:
        return type satisfies never;
    }
  }
}

function isOfType(value: unknown, type: TypeName): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function numberText(type: 'integer' | 'number', schema: Json, pointer: string): Expression {
  const min = tighter(boundOf(schema, pointer, 'minimum'), boundOf(schema, pointer, 'exclusiveMinimum'), 1);
  const max = tighter(boundOf(schema, pointer, 'maximum'), boundOf(schema, pointer, 'exclusiveMaximum'), -1);
  if (min === undefined && max === undefined) return type === 'integer' ? INTEGER : NUMBER;
  if (type === 'integer') return integersBetween(min, max);
  const decimals = decimalsBetween(min, max);
  if (decimals !== undefined) return decimals;
  throw new UnsupportedError(
    `schema: ${pointer}: a bound of numbers has more than ${EXACT_DIGITS} digits; round it, or use "integer"`,
  );
}

function boundOf(schema: Json, pointer: string, keyword: string): Bound | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return { value, isOpen: keyword.startsWith('exclusive') };
  throw new ConfigError(
    `schema: ${pointer}/${keyword} is ${typeof value === 'number' ? value : JSON.stringify(value)}, must be a finite number`,
  );
}

/** The bound that leaves less: the greater one where direction is 1, the lesser where it is -1; of equal ones the open one. */
function tighter(a: Bound | undefined, b: Bound | undefined, direction: 1 | -1): Bound | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.value * direction > b.value * direction ? a : b;
}
