import { ConfigError, UnsupportedError } from '../../core/errors.ts';

/** A JSON object. */
export interface Json {
  readonly [key: string]: unknown;
}

/** One schema inside the whole: `pointer` is its JSON pointer as a URI fragment, "#/properties/a". */
export interface Subschema {
  readonly schema: Json | boolean;
  readonly pointer: string;
}

export const TYPE_NAMES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
export type TypeName = (typeof TYPE_NAMES)[number];

/** What says something about values of one type only. */
export const KEYWORDS_OF_TYPE = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
} as const;

/** What stands for a whole schema: of these a schema has one, and nothing else but `type` beside const and enum. */
export const WHOLE = ['$ref', 'const', 'enum', 'anyOf', 'oneOf', 'allOf'] as const;

/** They say nothing about which values are valid, or hold schemas for $ref. */
const WITHOUT_EFFECT = [
  ...['title', 'description', '$comment', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['$defs', 'definitions'],
];
const ROOT_ONLY = ['$schema', '$id'];

/** Every keyword that is supported, for documents and messages. */
export const SUPPORTED_KEYWORDS: readonly string[] = ['type', ...WHOLE, ...Object.values(KEYWORDS_OF_TYPE).flat()];

const KNOWN = new Set<string>([...SUPPORTED_KEYWORDS, ...WITHOUT_EFFECT]);
const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** Throws UnsupportedError that names the first keyword which is not supported, and where it is. */
export function checkKeywords({ schema, pointer }: Subschema): void {
  if (typeof schema === 'boolean') return;
  for (const keyword of Object.keys(schema)) {
    if (KNOWN.has(keyword) || (pointer === '#' && ROOT_ONLY.includes(keyword))) continue;
    throw new UnsupportedError(
      `schema: ${pointer}: the keyword ${JSON.stringify(keyword)} is not supported; leave it out (docs/structured.md lists what is)`,
    );
  }
  const draft = schema['$schema'];
  if (draft !== undefined && draft !== DRAFT && draft !== `${DRAFT}#`) {
    throw new UnsupportedError(`schema: #/$schema is ${JSON.stringify(draft)}, only ${DRAFT} is supported`);
  }
  const wholes = WHOLE.filter((keyword) => Object.hasOwn(schema, keyword));
  const [whole] = wholes;
  if (whole === undefined) return;
  const isType = (keyword: string): boolean => keyword === 'type' && (whole === 'const' || whole === 'enum');
  const beside = SUPPORTED_KEYWORDS.find((keyword) => {
    return keyword !== whole && Object.hasOwn(schema, keyword) && !isType(keyword);
  });
  if (beside === undefined) return;
  throw new UnsupportedError(
    `schema: ${pointer}: ${JSON.stringify(beside)} beside ${JSON.stringify(whole)} is not supported; write it into each alternative`,
  );
}

/** The types that a schema allows: `type`, else those that its other keywords speak of; undefined for all. Throws ConfigError. */
export function typesOf({ schema, pointer }: { schema: Json; pointer: string }): readonly TypeName[] | undefined {
  const type = schema['type'];
  if (type === undefined) {
    const implied = Object.entries(KEYWORDS_OF_TYPE).filter(([, keywords]) =>
      keywords.some((k) => Object.hasOwn(schema, k)),
    );
    return implied.length === 0 ? undefined : implied.map(([name]) => name as TypeName);
  }
  const names: readonly unknown[] = Array.isArray(type) ? type : [type];
  for (const name of names) {
    if (!TYPE_NAMES.includes(name as TypeName)) {
      throw new ConfigError(
        `schema: ${pointer}/type is ${JSON.stringify(name)}, must be one of ${TYPE_NAMES.join(', ')}`,
      );
    }
  }
  if (names.length === 0) throw new ConfigError(`schema: ${pointer}/type is an empty list; name at least one type`);
  const set = new Set(names as TypeName[]);
  if (set.has('number')) set.delete('integer');
  return [...set];
}

export function isJsonObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws ConfigError unless the keyword's value is a count; undefined where it is left out. */
export function countOf(schema: Json, pointer: string, keyword: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0))
    return value as number | undefined;
  throw new ConfigError(`schema: ${pointer}/${keyword} is ${JSON.stringify(value)}, must be an integer from 0`);
}

/** Throws ConfigError unless the keyword's value is a list; undefined where it is left out. */
export function listOf(schema: Json, pointer: string, keyword: string): readonly unknown[] | undefined {
  const value = schema[keyword];
  if (value === undefined || Array.isArray(value)) return value;
  throw new ConfigError(`schema: ${pointer}/${keyword} is ${JSON.stringify(value)}, must be a list`);
}
