import { expect, test } from 'vitest';
import { DOCUMENTS, readDocument, rewritten } from '../../docs/scripts/documents.ts';
import { fixture } from '../support/fixtures.ts';

/** Those of generated.test.ts whose numbers take longest to compute. */
test.each(DOCUMENTS.filter((document) => document.isSlow === true))(
  '$path is as its script writes it (npm run docs)',
  async (document) => {
    const text = readDocument(document.path);
    expect(await rewritten(document, text, fixture)).toBe(text);
  },
);
