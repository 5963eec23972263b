import { createRequire } from 'node:module';
import { isIPv4 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError } from '../../../src/core/errors.ts';
import { type GrammarMasks, grammarMasks } from '../../../src/sample/grammar/token_masks.ts';
import { tokenTrie } from '../../../src/sample/grammar/token_trie.ts';
import { schemaGrammar } from '../../../src/sample/schema/schema.ts';
import { randomNumbers } from '../../support/tiny_llama.ts';
import { type RandomSchema, randomSchema } from './random_schema.ts';

/** Every output parses and validates; ajv is the judge. */

/** All bytes, and tokens that run over the borders of JSON's parts and of characters. */
const TOKENS: readonly Uint8Array[] = [
  ...Array.from({ length: 256 }, (_, i) => Uint8Array.of(i)),
  ...[
    '{"',
    '":',
    '": ',
    '", "',
    '"}',
    '}}',
    ']}',
    '["',
    '],',
    '\n  ',
    'true',
    'null,',
    'ab',
    '12',
    '0.',
    '\\u00',
    '\\"',
    'é"',
    '😀',
    '{"a',
    'kind',
    '-0',
    'e1',
  ].map((s) => new TextEncoder().encode(s)),
  Uint8Array.of(0x22, 0xf0, 0x9f),
  Uint8Array.of(0x98, 0x80, 0x22),
];
const bytesOf = (id: number): Uint8Array => TOKENS[id]!;
const VOCABULARY = { trie: tokenTrie(TOKENS.length, bytesOf), bytesOf };

/** What is used of ajv, which is CommonJS. */
interface Ajv {
  compile(schema: RandomSchema): (value: unknown) => boolean;
}
const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as { Ajv2020: new (options: object) => Ajv };
const ajv = new Ajv2020({
  strict: false,
  ownProperties: true, // "constructor" is a name like others
  formats: {
    date: (s: string) => new Date(s).toISOString().startsWith(`${s}T`),
    time: (s: string) => !Number.isNaN(Date.parse(`2000-01-01T${s}`)),
    'date-time': (s: string) => !Number.isNaN(Date.parse(s)),
    uuid: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i,
    ipv4: isIPv4,
    email: /^[^@\s]{1,64}@[^@\s]+\.[^@\s.]+$/,
  },
});

const MAX_TOKENS = 400;
/** From then on the model likes to end things. */
const PATIENCE = 25;
const ENDS = new Set([...'"]}'].map((c) => c.charCodeAt(0)));

/** A text by a model that knows nothing; null when it has not come to an end. */
function randomText(masks: GrammarMasks, random: () => number): string | null {
  const text = masks.begin({ endIds: [] });
  const bytes: number[] = [];
  for (let n = 0; !text.mustEnd; n++) {
    if (n === MAX_TOKENS) return null;
    if (text.mayEnd && random() < 0.2) break;
    const { bits } = text.mask();
    const allowed = TOKENS.flatMap((_, id) => (((bits[id >> 5]! >>> (id & 31)) & 1) === 1 ? [id] : []));
    expect(allowed.length).toBeGreaterThan(0);
    const ends = n < PATIENCE || random() < 0.3 ? [] : allowed.filter((id) => ENDS.has(bytesOf(id)[0]!));
    const among = ends.length > 0 ? ends : allowed;
    const id = among[Math.floor(random() * among.length)]!;
    text.accept(id);
    bytes.push(...bytesOf(id));
  }
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

const counts = { complete: 0, cut: 0, refused: 0 };

/** Some texts of `written` are valid for `judged`. */
function isValid(written: RandomSchema, judged: RandomSchema, seed: number): boolean {
  const random = randomNumbers(seed);
  const validate = ajv.compile(judged);
  let masks: GrammarMasks;
  try {
    masks = grammarMasks(schemaGrammar(written), VOCABULARY);
  } catch (e) {
    counts.refused++;
    return (e as Error).message.includes('has no text at all');
  }
  for (let i = 0; i < 4; i++) {
    try {
      const text = randomText(masks, random);
      if (text === null) counts.cut++;
      else if (!validate(JSON.parse(text))) return false;
      else counts.complete++;
    } catch (e) {
      if (!(e instanceof CapacityError)) throw e;
      counts.refused++;
    }
  }
  return true;
}

/** The schema with one of its keywords changed wherever it is. */
const changed = (schema: RandomSchema, keyword: string, change: (value: never) => unknown): RandomSchema =>
  JSON.parse(JSON.stringify(schema), (key, value) =>
    key === keyword ? change(value as never) : (value as unknown),
  ) as RandomSchema;

describe('random schemas, random texts', () => {
  test('every text that ends parses and validates', () => {
    fc.assert(
      fc.property(randomSchema, fc.nat(1e6), (schema, seed) => isValid(schema, schema, seed)),
      { seed: 1, numRuns: 100 },
    );
    expect(counts.complete).toBeGreaterThan(300);
    expect(counts.refused + counts.cut).toBeLessThan(50);
  });

  test.each<[string, (value: never) => unknown]>([
    ['required', () => undefined],
    ['additionalProperties', () => true],
    ['items', () => true],
    ['prefixItems', () => undefined],
    ['minItems', (n: number) => Math.max(0, n - 1)],
    ['maxItems', (n: number) => n + 1],
    ['minLength', (n: number) => Math.max(0, n - 1)],
    ['maxLength', (n: number) => n + 1],
    ['pattern', () => '^[^A]'],
    ['format', () => 'ipv4'],
    ['minimum', (n: number) => n - 1],
    ['maximum', (n: number) => n + 1],
    ['exclusiveMinimum', (n: number) => n - 1],
    ['exclusiveMaximum', (n: number) => n + 1],
    ['enum', (values: readonly unknown[]) => [...values, 'another']],
    ['const', () => 'another'],
    ['anyOf', (list: readonly unknown[]) => [...list, true]],
  ])('and a reading that changes %s is caught', (keyword, change) => {
    const property = fc.property(randomSchema, fc.nat(1e6), (schema, seed) =>
      isValid(changed(schema, keyword, change), schema, seed),
    );
    expect(fc.check(property, { seed: 2, numRuns: 3000, endOnFailure: true }).failed).toBe(true);
  });
});
