import fc from 'fast-check';

/** A schema of the supported keywords, as JSON.parse gives it. */
export type RandomSchema = boolean | { readonly [keyword: string]: unknown };

/** Names that begin alike, that need an escape, that JavaScript treats in its own way (ajv does not look at "__proto__"). */
const NAMES = ['a', 'ab', 'b', 'é', 'say "hi"', 'constructor', '10', '2', ''] as const;
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e21,
  '',
  'a',
  'é"\\\n',
  '😀',
  [],
  [1, 'a'],
  {},
  { a: { b: [null] } },
];

/** Leaves out what is undefined, and adds keywords that say nothing now and then. */
function compact(entries: Record<string, unknown>): RandomSchema {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

const option = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const count = fc.integer({ min: 0, max: 3 });

/** The lower bound and, where there are both, an upper one above it. */
const bounds = fc.tuple(
  option(fc.constantFrom(-1000, -12.5, -1, 0, 0.25, 1, 9, 99.99)),
  option(fc.constantFrom(1, 1.5, 10, 250)),
  fc.boolean(),
);

const numbers = fc.tuple(fc.constantFrom('integer', 'number'), bounds).map(([type, [min, span, isOpen]]) => {
  const max = span === undefined ? undefined : (min ?? 0) + span;
  return isOpen
    ? compact({ type, exclusiveMinimum: min, exclusiveMaximum: max })
    : compact({ type, minimum: min, maximum: max });
});

const strings = fc.oneof(
  fc
    .tuple(option(count), option(count))
    .map(([min, more]) =>
      compact({ type: 'string', minLength: min, maxLength: more === undefined ? undefined : (min ?? 0) + more }),
    ),
  fc
    .constantFrom(
      '^[A-Z]{2}\\d{1,3}$',
      'a|b',
      '^(?:é|😀)+[^a-z]?$',
      '^\\s\\S\\w?\\W$',
      '^$',
      'x{2,}',
      '^.{0,4}$',
      '["\\\\]',
      '^[\\u0000-\\u001f]{1,2}$',
      '[^"]$',
    )
    .map((pattern) => ({ type: 'string', pattern })),
  fc.constantFrom('date', 'time', 'date-time', 'uuid', 'ipv4', 'email').map((format) => ({ type: 'string', format })),
);

const leaves: fc.Arbitrary<RandomSchema> = fc.oneof(
  { weight: 3, arbitrary: numbers },
  { weight: 3, arbitrary: strings },
  fc.constantFrom<RandomSchema>(
    true,
    {},
    { type: 'null' },
    { type: 'boolean' },
    { type: ['null', 'string'] },
    { type: 'object' },
    { type: 'array' },
  ),
  fc.constantFrom(...VALUES).map((value) => ({ const: value })),
  fc.subarray([...VALUES], { minLength: 1 }).map((values) => ({ enum: values })),
  fc.constant({ $ref: '#/$defs/tree' }),
);

const { schema } = fc.letrec<{ schema: RandomSchema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: 'medium' },
    leaves,
    objects(tie('schema')),
    arrays(tie('schema')),
    alternatives(tie('schema')),
  ),
}));

function objects(inner: fc.Arbitrary<RandomSchema>): fc.Arbitrary<RandomSchema> {
  return fc
    .tuple(
      fc.uniqueArray(fc.tuple(fc.constantFrom(...NAMES), inner), { maxLength: 4, selector: ([name]) => name }),
      fc.subarray([...NAMES]),
      fc.constantFrom(undefined, false, true, 'inner'),
      inner,
      fc.boolean(),
    )
    .map(([members, names, additional, other, isListed]) => {
      const properties = Object.fromEntries(members);
      // With additionalProperties: false a name that is not listed could not be required.
      const required = names.filter(
        (name) => Object.hasOwn(properties, name) || (additional !== false && isListed && name.length < 3),
      );
      return compact({
        type: 'object',
        properties,
        required: required.length > 0 ? required : undefined,
        additionalProperties: additional === 'inner' ? other : additional,
      });
    });
}

function arrays(inner: fc.Arbitrary<RandomSchema>): fc.Arbitrary<RandomSchema> {
  return fc
    .tuple(fc.array(inner, { maxLength: 2 }), option(inner), option(count), option(count))
    .map(([prefixItems, items, min, more]) =>
      compact({
        type: 'array',
        prefixItems: prefixItems.length > 0 ? prefixItems : undefined,
        items,
        minItems: min,
        maxItems: more === undefined ? undefined : (min ?? 0) + more,
      }),
    );
}

function alternatives(inner: fc.Arbitrary<RandomSchema>): fc.Arbitrary<RandomSchema> {
  const tagged = fc.array(inner, { minLength: 1, maxLength: 3 }).map((list) => ({
    oneOf: list.map((value, i) => ({ type: 'object', properties: { kind: { const: i }, value }, required: ['kind'] })),
  }));
  return fc.oneof(
    fc.array(inner, { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    inner.map((only) => ({ allOf: [only] })),
    tagged,
    fc.constant({ oneOf: [{ type: 'null' }, { type: 'integer', minimum: 3 }, { enum: ['a', true] }] }),
  );
}

const TREE = {
  type: 'object',
  properties: { leaf: { type: 'integer' }, branches: { type: 'array', items: { $ref: '#/$defs/tree' }, maxItems: 2 } },
  required: ['leaf'],
};

/** Schemas whose references have something to refer to. */
export const randomSchema: fc.Arbitrary<RandomSchema> = schema.map((root) =>
  typeof root === 'boolean' ? root : { ...root, $defs: { tree: TREE } },
);
