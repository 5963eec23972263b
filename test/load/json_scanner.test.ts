import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { JsonScanner, MAX_JSON_DEPTH } from '../../src/load/json_scanner.ts';
import { SEARCH } from '../support/mutant_search.ts';

const encode = (text: string) => new TextEncoder().encode(text);

function scan(bytes: Uint8Array): FormatError | null {
  const scanner = new JsonScanner(bytes, 'f.json');
  try {
    scanner.skip('value');
    scanner.end();
    return null;
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What is left of a JSON text when some characters are changed: mostly not JSON, sometimes JSON again. */
const nearlyJson = fc
  .tuple(
    fc.json({ maxDepth: 4 }),
    fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:\\ \n\t01-+.eEutrfalsn\u0001é')), { maxLength: 3 }),
  )
  .map(([json, edits]) => {
    let text = json;
    for (const [where, character] of edits) {
      const at = where % (text.length + 1);
      text = text.slice(0, at) + character + text.slice(at + (where % 2));
    }
    return text;
  });

describe('the scanner against JSON.parse', () => {
  test('it accepts what JSON.parse writes', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        // fc.json may hold lone surrogates, which TextEncoder replaces: the bytes are then other text, and JSON as well.
        expect(scan(encode(text))).toBeNull();
      }),
    );
  });

  test('it accepts nothing that JSON.parse refuses, and refuses more only for its own four reasons', () => {
    fc.assert(
      fc.property(nearlyJson, (text) => {
        const error = scan(encode(text));
        if (error === null) expect(parses(text)).toBe(true);
        else if (parses(text)) expect(error.message).toMatch(/twice|surrogate|nested deeper|UTF-8/);
      }),
      { numRuns: 2000 },
    );
  });

  test('and a scanner that forgets the end of the text is caught', () => {
    const forgetful = (text: string) => {
      const scanner = new JsonScanner(encode(text), 'f.json');
      try {
        scanner.skip('value');
        return true;
      } catch {
        return false;
      }
    };
    const result = fc.check(
      fc.property(nearlyJson, (text) => !forgetful(text) || parses(text)),
      SEARCH,
    );
    expect(result.failed).toBe(true);
  });
});

test('strings come out as JSON.parse gives them', () => {
  // Every length of UTF-8, the quotes and controls, both sides of the surrogates.
  const codePoint = fc
    .oneof(fc.nat(0x7f), fc.nat(0x7ff), fc.nat(0xffff), fc.nat(0x10ffff), fc.constantFrom(0xd7ff, 0xe000, 0xfeff))
    .filter((c) => c < 0xd800 || c > 0xdfff);
  const plain = fc.array(codePoint).map((points) => String.fromCodePoint(...points));
  const hex = (unit: number) => `\\u${unit.toString(16).padStart(4, '0')}`;
  const escapeAll = (text: string) => Array.from({ length: text.length }, (_, i) => hex(text.charCodeAt(i))).join('');
  const json = fc.oneof(
    plain.map((text) => JSON.stringify(text)),
    plain.map((text) => `"${escapeAll(text)}"`),
  );
  fc.assert(
    fc.property(json, (text) => {
      expect(new JsonScanner(encode(text), 'f').string('s')).toBe(JSON.parse(text));
    }),
  );
});

test('nesting stops at a depth, whatever comes first', () => {
  const nested = (depth: number, open: string, close: string) => encode(open.repeat(depth) + close.repeat(depth));
  expect(scan(nested(MAX_JSON_DEPTH, '[', ']'))).toBeNull();
  expect(scan(nested(MAX_JSON_DEPTH + 1, '[', ']'))?.message).toMatch(/nested deeper/);
  expect(scan(encode('{"a":'.repeat(1e6)))?.message).toMatch(/nested deeper/);
  // Siblings are not nesting.
  expect(scan(encode(`[${'[],'.repeat(1000)}[]]`))).toBeNull();
});

test('an error has the byte in the file, not in the header, and not a character', () => {
  const scanner = new JsonScanner(encode('{"é": x}'), 'f', 100);
  const error = (() => {
    try {
      scanner.object('o', () => scanner.count('n'));
    } catch (e) {
      return e as FormatError;
    }
    throw new Error('accepted');
  })();
  expect(error.offset).toBe(100 + 7); // é takes two bytes
});
