import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, UnsupportedError } from '../../../src/core/errors.ts';
import { type GrammarMasks, grammarMasks } from '../../../src/sample/grammar/token_masks.ts';
import { tokenTrie } from '../../../src/sample/grammar/token_trie.ts';
import { FORMAT_PATTERNS } from '../../../src/sample/schema/formats.ts';
import { SUPPORTED_KEYWORDS } from '../../../src/sample/schema/keywords.ts';
import { schemaGrammar } from '../../../src/sample/schema/schema.ts';
import { ROOT } from '../../support/fixtures.ts';

const bytesOf = (id: number): Uint8Array => Uint8Array.of(id);
const VOCABULARY = { trie: tokenTrie(256, bytesOf), bytesOf };
const masksOf = (schema: unknown): GrammarMasks => grammarMasks(schemaGrammar(schema), VOCABULARY);
const node = { type: 'object', properties: { v: { type: 'null' }, next: { $ref: '#/$defs/node' } }, required: ['v'] };

/** [what, schema, texts of it, texts that are not]. */
const CASES: [string, unknown, string[], string[]][] = [
  [
    'anything',
    {},
    ['1', '"a"', '{"a":[null,true,{}]}', '[ -1.5e+10, "\\u00e9\\n" ]'],
    ['', '01', '1e999', '"\\ud800"', '"\n"', ' 1', '1 ', '[1,]'],
  ],
  [
    'white space: one space, or a line with at most 20',
    { type: 'array', items: { type: 'null' } },
    ['[]', '[null, null]', `[\n${' '.repeat(20)}null\n\t]`],
    ['[ ]', '[  null]', `[\n${' '.repeat(21)}null]`, '[\n\nnull]', '[null ,null]'],
  ],
  [
    'properties in their order, each at most once',
    { properties: { b: true, a: true, c: true }, required: ['a'] },
    ['{"a":1}', '{"b":1, "a":2, "c":3}', '{"a":1,"c":2}'],
    ['{}', '{"a":1,"b":2}', '{"b":1}', '{"a":1,"a":2}', '{"a":1,"d":2}', '{"a":1,}', '{,"a":1}'],
  ],
  [
    'no property required',
    { properties: { a: { const: 1 }, b: { const: 2 } } },
    ['{}', '{"a":1}', '{"b":2}', '{"a":1,"b":2}'],
    ['{"b":2,"a":1}', '{"a":1"b":2}'],
  ],
  [
    'required, not listed',
    { properties: { a: { const: 1 } }, required: ['z', 'a'], additionalProperties: { type: 'null' } },
    ['{"a":1,"z":null}', '{"a":1,"z":null,"y":null}'],
    ['{"a":1}', '{"z":null,"a":1}', '{"a":1,"z":1}'],
  ],
  [
    'other keys are not the listed ones',
    { properties: { ab: { const: 1 } }, additionalProperties: { const: 2 } },
    ['{"ab":1}', '{"ab":1,"a":2,"abc":2,"":2}', '{"b":2}'],
    ['{"ab":2}', '{"a":2,"ab":1}', '{"a\\u0062":2}', '{"a":1}'],
  ],
  [
    'a property of any name',
    JSON.parse('{"properties":{"__proto__":{"const":1}},"required":["__proto__"],"additionalProperties":{"const":2}}'),
    ['{"__proto__":1}', '{"__proto__":1,"toString":2}'],
    ['{}', '{"__proto__":2}'],
  ],
  ['any object', { type: 'object' }, ['{}', '{"a":{"b":[]}}'], ['[]']],
  ['nothing more', { type: 'object', additionalProperties: false }, ['{}'], ['{"a":1}']],
  ['a property that cannot be', { properties: { a: false, b: true } }, ['{}', '{"b":1}'], ['{"a":1}']],
  ['a tuple', { prefixItems: [{ const: 1 }, { const: 2 }], minItems: 1 }, ['[1]', '[1,2]'], ['[]', '[2]', '[1,2,3]']],
  [
    'a tuple and more',
    { prefixItems: [{ const: 1 }], items: { const: 2 }, minItems: 2, maxItems: 3 },
    ['[1,2]', '[1,2,2]'],
    ['[1]', '[1,2,2,2]', '[1,1]'],
  ],
  ['a tuple, and nothing after it', { prefixItems: [{ const: 1 }], items: false }, ['[]', '[1]'], ['[1,2]']],
  [
    'a tuple with fewer than its prefix',
    { prefixItems: [{ const: 1 }, { const: 2 }, { const: 3 }], maxItems: 2 },
    ['[]', '[1,2]'],
    ['[1,2,3]'],
  ],
  ['a tuple that must be longer', { prefixItems: [{ const: 1 }], minItems: 2 }, ['[1,"x"]'], ['[1]', '[1,2,3]']],
  [
    'counts of items',
    { items: { const: 1 }, minItems: 2, maxItems: 3 },
    ['[1,1]', '[1,1,1]'],
    ['[]', '[1]', '[1,1,1,1]'],
  ],
  ['no items', { type: 'array', maxItems: 0 }, ['[]'], ['[1]']],
  [
    'lengths in characters, an escape as one',
    { minLength: 2, maxLength: 3 },
    ['"ab"', '"é😀"', '"\\n\\u00e9c"'],
    ['"a"', '"abcd"', '"\\n"', '1'],
  ],
  [
    'const and enum in one spelling',
    { enum: ['a"b', { x: [1, null] }, 1.5, '😀'] },
    ['"a\\"b"', '{"x":[1,null]}', '1.5', '"😀"'],
    ['{"x": [1,null]}', '1.50', '"a'],
  ],
  ['enum of one type', { type: ['string', 'integer'], enum: ['a', 1, 1.5, null] }, ['"a"', '1'], ['1.5', 'null']],
  ['several types', { type: ['null', 'boolean'], minLength: 3 }, ['null', 'true', 'false'], ['1']],
  [
    'types that its keywords imply',
    { minimum: 1, maximum: 2, maxLength: 1 },
    ['1', '1.5', '""'],
    ['3', '"ab"', 'null'],
  ],
  ['anyOf', { anyOf: [{ const: 1 }, { minLength: 1, type: 'string' }] }, ['1', '"a"'], ['2', '""']],
  [
    'oneOf by type, by const',
    {
      oneOf: [
        { type: 'null' },
        { type: 'object', properties: { k: { const: 'a' } }, required: ['k'] },
        { type: 'object', properties: { k: { enum: ['b', 'c'] } }, required: ['k'] },
      ],
    },
    ['null', '{"k":"a"}', '{"k":"c"}'],
    ['{"k":"d"}', '{}'],
  ],
  ['allOf of one', { allOf: [{ $ref: '#/$defs/a' }], $defs: { a: { const: 1 } } }, ['1'], ['2']],
  [
    'recursion',
    { $ref: '#/$defs/node', $defs: { node } },
    ['{"v":null}', '{"v":null,"next":{"v":null,"next":{"v":null}}}'],
    ['{"v":null,"next":{}}'],
  ],
  [
    'recursion of the whole',
    { anyOf: [{ type: 'null' }, { items: { $ref: '#' } }] },
    ['null', '[null,[[],null]]'],
    ['[1]'],
  ],
  ['references with escapes', { $ref: '#/$defs/a~1b%20%7E0c', $defs: { 'a/b ~c': { const: 1 } } }, ['1'], ['2']],
  ['a pattern, not anchored', { pattern: 'a.c' }, ['"abc"', '"xx a\\"c\\n"'], ['"a\\nc"', '"ac"']],
  [
    'a pattern, anchored',
    { pattern: '^(?:x|\\d{2,3}?)[^\\w"]?$' },
    ['"x"', '"12"', '"123-"', '"x\\n"', '"x\\\\"'],
    ['"1"', '"xx"', '"12\\""', '"x_"'],
  ],
  ['alternatives of a pattern', { pattern: '^a|b$' }, ['"ax"', '"xb"', '"a"'], ['"xa"', '"bx"']],
  [
    'integers, never -0',
    { type: 'integer' },
    ['0', '-1', '999999999999999'],
    ['-0', '1.0', '1e2', '01', '1000000000000000'],
  ],
  ['dates', { format: 'date' }, ['"2024-02-28"', '"1999-12-31"'], ['"2024-02-30"', '"2024-13-01"', '"2024-04-31"']],
  [
    'what says nothing',
    {
      title: 'a',
      description: 'b',
      default: 1,
      examples: [],
      $comment: 'c',
      deprecated: true,
      readOnly: true,
      writeOnly: true,
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'x',
      const: 1,
    },
    ['1'],
    ['2'],
  ],
];

test.each(CASES)('%s', (_, schema, texts, others) => {
  const masks = masksOf(schema);
  const accepts = (text: string): boolean => masks.accepts(new TextEncoder().encode(text));
  expect(texts.filter((text) => !accepts(text))).toEqual([]);
  expect(others.filter(accepts)).toEqual([]);
});

describe('numbers between bounds, against comparing them', () => {
  const INTEGERS = [
    -1001, -1000, -999, -100, -13, -12, -10, -9, -2, -1, 0, 1, 2, 7, 9, 10, 11, 99, 100, 101, 120, 999, 1000, 1234,
  ];
  const DECIMALS = [
    '0',
    '0.0',
    '0.5',
    '0.49',
    '0.50',
    '0.500',
    '0.51',
    '1',
    '1.0',
    '1.25',
    '1.249',
    '1.3',
    '2',
    '9.99',
    '10',
    '10.01',
    '99.9',
    '100',
  ];
  const all = [...DECIMALS, ...DECIMALS.filter((x) => Number(x) > 0).map((x) => `-${x}`)];
  const bounds = [-1000.5, -100, -12, -1.25, -0.5, 0, 0.5, 1, 1.25, 9.99, 10, 99, 100, 1000];

  test('all pairs of bounds, open and closed', () => {
    let nChecked = 0;
    for (const low of [undefined, ...bounds]) {
      for (const high of [undefined, ...bounds]) {
        for (const isOpen of [false, true]) {
          const [lowKey, highKey] = isOpen ? ['exclusiveMinimum', 'exclusiveMaximum'] : ['minimum', 'maximum'];
          const schema = {
            ...(low !== undefined && { [lowKey]: low }),
            ...(high !== undefined && { [highKey]: high }),
          };
          const isIn = (x: number): boolean =>
            (low === undefined || (isOpen ? x > low : x >= low)) &&
            (high === undefined || (isOpen ? x < high : x <= high));
          for (const [type, texts] of [
            ['integer', INTEGERS.map(String)],
            ['number', all],
          ] as const) {
            let masks: GrammarMasks;
            try {
              masks = masksOf({ type, ...schema });
            } catch (e) {
              expect((e as Error).message).toContain('has no text at all');
              expect(texts.some((text) => isIn(Number(text)))).toBe(false);
              continue;
            }
            const wrong = texts.filter((text) => masks.accepts(new TextEncoder().encode(text)) !== isIn(Number(text)));
            expect([type, schema, wrong]).toEqual([type, schema, []]);
            nChecked++;
          }
        }
      }
    }
    expect(nChecked).toBeGreaterThan(450);
  });

  test('the tighter of two bounds counts', () => {
    const masks = masksOf({ type: 'integer', minimum: 3, exclusiveMinimum: 3, maximum: 9, exclusiveMaximum: 12 });
    const fits = Array.from({ length: 15 }, (_, i) => i).filter((i) =>
      masks.accepts(new TextEncoder().encode(String(i))),
    );
    expect(fits).toEqual([4, 5, 6, 7, 8, 9]);
  });
});

describe('what is not supported is refused by its name and place', () => {
  test.each<[unknown, string]>([
    [{ properties: { 'a/b~c': { not: {} } } }, '#/properties/a~1b~0c: the keyword "not" is not supported'],
    [{ items: { anyOf: [true, { if: true }] } }, '#/items/anyOf/1: the keyword "if" is not supported'],
    [
      { $defs: { a: { uniqueItems: true } }, $ref: '#/$defs/a' },
      '#/$defs/a: the keyword "uniqueItems" is not supported',
    ],
    [{ nullable: true }, '#: the keyword "nullable" is not supported'],
    [{ items: { $id: 'x' } }, '#/items: the keyword "$id" is not supported'],
    [
      { $schema: 'http://json-schema.org/draft-07/schema#' },
      '#/$schema is "http://json-schema.org/draft-07/schema#", only',
    ],
    [{ $ref: 'other.json' }, '#/$ref is "other.json"; only "#" and "#/..." within the schema'],
    [{ $ref: '#name' }, '#/$ref is "#name"'],
    [{ $ref: '#/$defs/a', type: 'string', $defs: { a: true } }, '#: "type" beside "$ref" is not supported'],
    [{ anyOf: [true], properties: {} }, '#: "properties" beside "anyOf" is not supported'],
    [{ allOf: [true, true] }, '#/allOf has several schemas'],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, '#/oneOf: a value may fit 0 and 1 at once'],
    [{ oneOf: [{ type: 'null' }, { properties: { a: { const: 1 } } }] }, '#/oneOf: a value may fit 0 and 1 at once'],
    [
      {
        oneOf: [
          { type: 'object', properties: { k: { const: 1 } } },
          { type: 'object', properties: { k: { const: 2 } } },
        ],
      },
      '#/oneOf',
    ],
    [{ pattern: 'a', maxLength: 3 }, '#: "maxLength" beside "pattern" is not supported'],
    [{ pattern: 'a', format: 'date' }, '#: "pattern" beside "format" is not supported'],
    [{ format: 'hostname' }, '#/format is "hostname"; supported are date, time, date-time, uuid, ipv4, email'],
    [{ pattern: '(?=a)' }, '#/pattern "(?=a)": looking ahead or behind'],
    [{ pattern: '(?<!a)b' }, 'looking ahead or behind'],
    [{ pattern: '(a)\\1' }, '#/pattern "(a)\\\\1": \\1 is not supported'],
    [{ pattern: '\\bа' }, '\\b is not supported'],
    [{ pattern: '\\p{L}' }, '\\p is not supported'],
    [{ pattern: 'a^b' }, '^ in the middle is not supported'],
    [{ pattern: '(a$)' }, '$ in the middle is not supported'],
    [{ pattern: '\\ud83d\\ude00' }, '\\u of a surrogate is not supported'],
    [{ type: 'number', minimum: 1e-7 }, '#: a bound of numbers has more than 15 digits'],
    [{ type: 'number', maximum: 1e21 }, '#: a bound of numbers has more than 15 digits'],
  ])('%j', (schema, message) => {
    expect(() => masksOf(schema)).toThrow(UnsupportedError);
    expect(() => masksOf(schema)).toThrow(message);
  });
});

describe('what is no schema is refused with its place', () => {
  test.each<[unknown, string]>([
    [null, '# is null, must be an object or a boolean'],
    [{ items: 5 }, '#/items is 5, must be an object or a boolean'],
    [{ items: [] }, '#/items is [], must be an object or a boolean'],
    [{ type: 'text' }, '#/type is "text", must be one of object, array'],
    [{ type: [] }, '#/type is an empty list'],
    [{ properties: [] }, '#/properties is [], must be an object of schemas'],
    [{ required: 'a' }, '#/required is "a", must be a list'],
    [{ required: [1] }, '#/required has 1, must be a list of names'],
    [{ minLength: -1 }, '#/minLength is -1, must be an integer from 0'],
    [{ maxItems: 1.5 }, '#/maxItems is 1.5, must be an integer from 0'],
    [{ minimum: '1' }, '#/minimum is "1", must be a finite number'],
    [{ pattern: 5 }, '#/pattern is 5, must be a text'],
    [{ pattern: 'a)' }, '#/pattern "a)" is no regular expression'],
    [{ enum: 'a' }, '#/enum is "a", must be a list'],
    [{ anyOf: [] }, '#/anyOf is an empty list'],
    [{ $ref: 1 }, '#/$ref is 1, must be a text'],
    [{ $ref: '#/$defs/none' }, '#/$ref is "#/$defs/none", and nothing is there'],
    [{ $ref: '#/toString' }, '#/$ref is "#/toString", and nothing is there'],
    [{ $ref: '#' }, 'left recursion, # -> #'],
    [
      { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { anyOf: [{ $ref: '#/$defs/a' }, true] } } },
      'left recursion, #/$defs/',
    ],
    [false, '# has no text at all'],
    [{ enum: [] }, '# has no text at all'],
    [{ minLength: 3, maxLength: 2 }, '# has no text at all'],
    [{ minItems: 3, maxItems: 2 }, '# has no text at all'],
    [{ properties: { a: { $ref: '#' } }, required: ['a'] }, '# has no text at all'],
  ])('%j', (schema, message) => {
    expect(() => masksOf(schema)).toThrow(ConfigError);
    expect(() => masksOf(schema)).toThrow(`schema: ${message}`);
  });
});

test('docs/structured.md names every keyword and format', () => {
  const guide = readFileSync(join(ROOT, 'docs', 'structured.md'), 'utf8');
  const names = [...SUPPORTED_KEYWORDS, ...FORMAT_PATTERNS.keys()];
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
});

describe('schemas made to be heavy are refused', () => {
  test.each<[string, unknown, string]>([
    ['a long list', { maxItems: 2 ** 40 }, 'more than 400000 nodes'],
    ['a long string', { minLength: 2 ** 40 }, 'more than 400000 nodes'],
    ['many schemas', { anyOf: Array.from({ length: 60_000 }, () => ({ type: 'null' })) }, 'more than 50000 subschemas'],
    [
      'a long key',
      { properties: { ['a'.repeat(5000)]: true }, additionalProperties: true },
      'beside a key of 5000 characters, at most 256',
    ],
    ['many alternatives that begin alike', { enum: Array.from({ length: 9000 }, (_, i) => `a${i}`) }, 'too ambiguous'],
  ])('%s', (_, schema, message) => {
    expect(() => masksOf(schema)).toThrow(CapacityError);
    expect(() => masksOf(schema)).toThrow(message);
  });

  test('a schema inside thousands of others is read without a deep stack', () => {
    let schema: unknown = { const: 1 };
    for (let i = 0; i < 3000; i++) schema = { items: schema, maxItems: 1 };
    const masks = masksOf(schema);
    expect(masks.accepts(new TextEncoder().encode('[[[]]]'))).toBe(true);
  });
});
