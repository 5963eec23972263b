import { describe, expect, test } from 'vitest';
import { DOCUMENTS, type GeneratedDocument, readDocument, rewritten } from '../../docs/scripts/documents.ts';
import { regionNames, writeRegions } from '../../docs/scripts/regions.ts';
import { quoteSource } from '../../docs/scripts/source_quote.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { DOCUMENT_PATHS } from './markdown.ts';

/** What scripts write into documents is what they would write today: the numbers, and the quoted lines of sources. */

test.each(DOCUMENTS.filter((document) => document.isSlow !== true))(
  '$path is as its script writes it (npm run docs)',
  async (document) => {
    const text = readDocument(document.path);
    expect(await rewritten(document, text, fixture)).toBe(text);
  },
);

for (const { path, optional } of DOCUMENTS) {
  if (optional.length === 0) continue;
  for (const folder of ['stories260k', 'tinystories-656k']) {
    // The test above, or the long one, has compared them; this one says by name where it could not.
    describeWithFixture(folder, `${path}: numbers of optional models`, () => {
      test('are written', () => expect(readDocument(path).toLowerCase()).toContain(folder));
    });
  }
}

test('only listed documents have generated regions', () => {
  const listed = DOCUMENTS.map(({ path }) => path);
  const found = DOCUMENT_PATHS.filter((path) => regionNames(readDocument(path)).length > 0);
  expect(found.sort()).toEqual([...listed].sort());
});

describe('a document that drifts is caught', () => {
  const document: GeneratedDocument = {
    path: 'x.md',
    regions: async () => new Map([['answer', 'It is 42.']]),
    optional: ['far'],
  };
  const region = (name: string, body: string) => `a\n<!-- generated: ${name} -->\n${body}\n<!-- end -->\nb`;

  test('a number that was changed by hand', async () => {
    const text = region('answer', 'It is 43.');
    expect(await rewritten(document, text)).toBe(region('answer', 'It is 42.'));
  });

  test('a text that the document has no place for', async () => {
    await expect(rewritten(document, 'a\nb')).rejects.toThrow('has no place for answer');
  });

  test('a region that no script writes', async () => {
    const text = `${region('answer', '')}\n${region('question', '')}`;
    await expect(rewritten(document, text)).rejects.toThrow('no script writes "question"');
  });

  test('but an optional one keeps its text, byte for byte', async () => {
    const text = `${region('answer', 'It is 42.')}\n${region('far', 'kept \n\n here')}`;
    expect(await rewritten(document, text)).toBe(text);
  });

  test.each([
    ['not closed', 'a\n<!-- generated: answer -->\nb', 'line 2'],
    ['closed twice', `${region('answer', '')}\n<!-- end -->`, 'line 6'],
    ['nested', '<!-- generated: a -->\n<!-- generated: b -->\n<!-- end -->', 'line 2'],
  ])('a region that is %s', async (_what, text, line) => {
    await expect(writeRegions(text, async () => '')).rejects.toThrow(line);
  });
});

describe('quoted sources', () => {
  test('a function, lines within it, and lines of a comment', () => {
    expect(quoteSource('source src/ops/softmax.ts softmax')).toMatch(
      /^```ts\n\/\/ src\/ops\/softmax\.ts\nexport function softmax\(/,
    );
    expect(quoteSource('source src/ops/softmax.ts softmax "const max = " to "const sum"')?.split('\n')).toHaveLength(8);
    expect(quoteSource('comment src/core/math.ts "function   largest" to "erf  "')).toMatch(/^```text\nfunction/);
    expect(quoteSource('something else')).toBeUndefined();
  });

  test.each([
    ['a function that is gone', 'source src/ops/softmax.ts softmin', 'has no function softmin'],
    ['a first line that is gone', 'source src/ops/softmax.ts "no such line" to "}"', 'no line has'],
    ['a first line that is there twice', 'source src/ops/softmax.ts "const max = " to "}"', '2 lines have'],
    ['a last line that is gone', 'source src/ops/softmax.ts softmax "const max = " to "no such"', 'no line after'],
  ])('%s is an error', (_what, name, message) => {
    expect(() => quoteSource(name)).toThrow(message);
  });
});
