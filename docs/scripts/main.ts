import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOCUMENTS, readDocument, rewritten } from './documents.ts';
import { ROOT } from './root.ts';

// npm run docs: writes every generated region anew. GLASSFORMER_FIXTURES names the folder of the optional models.
const folder = process.env['GLASSFORMER_FIXTURES'];
const modelPath = folder === undefined ? undefined : (...parts: string[]) => join(folder, ...parts);

for (const document of DOCUMENTS) {
  const before = readDocument(document.path);
  let after: string;
  try {
    after = await rewritten(document, before, modelPath);
  } catch (cause) {
    throw new Error(`${document.path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (after !== before) writeFileSync(new URL(document.path, ROOT), after);
  process.stderr.write(`${document.path}: ${after === before ? 'as it was' : 'rewritten'}\n`);
}
