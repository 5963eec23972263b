import { describe, expect, test } from 'vitest';
import { examplesOf, expectOutput, inProcess, runExample } from './examples.ts';
import { DOCUMENT_PATHS, readDocument } from './markdown.ts';

/** The commands that documents show, each in a process of its own, as `npm start` runs them. */
for (const path of DOCUMENT_PATHS) {
  const commands = examplesOf(readDocument(path)).filter(({ language }) => language === 'sh');
  if (commands.length === 0) continue;
  describe(path, () => {
    test.each(commands)('line $line', (example) => expectOutput(example, inProcess));
  });
}

test('a flag that the program does not have is caught', async () => {
  const [example] = examplesOf('```sh run\nnpm start -- generate --no-such-flag\n```');
  await expect(runExample(example!, inProcess)).rejects.toThrow();
});
