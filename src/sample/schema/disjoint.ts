import { isJsonObject, type Json, type Subschema, type TypeName, typesOf } from './keywords.ts';
import { below, referred, subschema } from './references.ts';

/** References and objects inside objects that are followed before the answer is "not known". */
const MAX_STEPS = 16;

/**
 * Whether no value fits both schemas, as far as can be seen: by their types, by const and enum, or by a property that both
 * require and that cannot be the same. False means: not known.
 */
export function areDisjoint(root: Json | boolean, a: Subschema, b: Subschema, steps = MAX_STEPS): boolean {
  const [x, y] = [resolved(root, a), resolved(root, b)];
  if (x === false || y === false) return true; // `false` fits nothing
  if (x === undefined || y === undefined || steps === 0) return false;
  const [valuesX, valuesY] = [valuesOf(x.schema), valuesOf(y.schema)];
  if (valuesX !== undefined && valuesY !== undefined) return !valuesX.some((v) => valuesY.includes(v));
  const [typesX, typesY] = [typeSet(x), typeSet(y)];
  if (typesX === undefined || typesY === undefined) return false;
  const common = [...typesX].filter((type) => typesY.has(type));
  if (common.length === 0) return true;
  if (common.length > 1 || common[0] !== 'object') return false;
  const shared = requiredOf(x.schema).filter((key) => requiredOf(y.schema).includes(key));
  return shared.some((key) => {
    const [px, py] = [propertyOf(x, key), propertyOf(y, key)];
    return px !== undefined && py !== undefined && areDisjoint(root, px, py, steps - 1);
  });
}

interface ObjectSchema {
  readonly schema: Json;
  readonly pointer: string;
}

/** The schema behind references; false for one that nothing fits, undefined for one that says nothing simple. */
function resolved(root: Json | boolean, sub: Subschema): ObjectSchema | false | undefined {
  let at = sub;
  for (let step = 0; step < MAX_STEPS; step++) {
    const { schema, pointer } = at;
    if (schema === false) return false;
    if (schema === true || ['anyOf', 'oneOf', 'allOf'].some((keyword) => Object.hasOwn(schema, keyword)))
      return undefined;
    if (!Object.hasOwn(schema, '$ref')) return { schema, pointer };
    at = referred(root, schema['$ref'], pointer);
  }
  return undefined;
}

/** The values of const or enum, in one spelling each. */
function valuesOf(schema: Json): readonly string[] | undefined {
  if (Object.hasOwn(schema, 'const')) return [canonical(schema['const'])];
  const values = schema['enum'];
  return Array.isArray(values) ? values.map(canonical) : undefined;
}

/** JSON with sorted keys: equal values, equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isJsonObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

/** Types of its values, 'integer' as 'number'; undefined for any. What is only implied by other keywords does not count. */
function typeSet({ schema, pointer }: ObjectSchema): ReadonlySet<TypeName> | undefined {
  const values = valuesOf(schema);
  if (values !== undefined) return new Set(values.map((value) => typeOfText(value)));
  if (!Object.hasOwn(schema, 'type')) return undefined;
  return new Set(typesOf({ schema, pointer })?.map((type) => (type === 'integer' ? 'number' : type)));
}

function typeOfText(json: string): TypeName {
  const value: unknown = JSON.parse(json);
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as TypeName;
}

function requiredOf(schema: Json): readonly unknown[] {
  return Array.isArray(schema['required']) ? schema['required'] : [];
}

function propertyOf({ schema, pointer }: ObjectSchema, key: unknown): Subschema | undefined {
  const { properties } = schema;
  if (!isJsonObject(properties) || typeof key !== 'string' || !Object.hasOwn(properties, key)) return undefined;
  return subschema(properties[key], below(pointer, 'properties', key));
}
