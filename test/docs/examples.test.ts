import { describe, expect, test } from 'vitest';
import { examplesOf, expectOutput, inThisProcess, runExample, shellWords } from './examples.ts';
import { DOCUMENT_PATHS, readDocument } from './markdown.ts';

/** Examples that documents promise to work do, and print what they say. Commands run in this process, and in their own in examples.long.test.ts. */

for (const path of DOCUMENT_PATHS) {
  const examples = examplesOf(readDocument(path));
  if (examples.length === 0) continue;
  describe(path, () => {
    test.each(examples)('line $line: $language', async (example) => {
      await expectOutput(example, inThisProcess);
    });
  });
}

test('the README has examples of both kinds', () => {
  const languages = examplesOf(readDocument('README.md')).map(({ language }) => language);
  expect(new Set(languages)).toEqual(new Set(['ts', 'sh']));
});

describe('an example that does not work is caught', () => {
  const run = (info: string, text: string) => runExample(examplesOf(`\`\`\`${info}\n${text}\n\`\`\``)[0]!);

  test.each([
    [
      'a name that the library does not have',
      'ts run',
      `import { loadNothing } from 'glassformer';\nawait loadNothing();`,
    ],
    ['code that throws', 'ts run', `throw new Error('no');`],
    ['code that does not parse', 'ts run', 'const = 1;'],
    ['a command that is not npm start', 'sh run', 'ls'],
    ['a flag that the program does not have', 'sh run', 'npm start -- generate --no-such-flag'],
  ])('%s', async (_what, info, text) => {
    await expect(run(info, text)).rejects.toThrow();
  });

  test('what an example prints is what is compared', async () => {
    expect(await run('ts run', `console.log(1 + 1);\nprocess.stdout.write('x');`)).toBe('2\nx');
  });
});

test('shell lines are taken apart into words', () => {
  expect(shellWords(`npm start -- "two words" 'a $b' --top-p=0.9 1,2`)).toEqual([
    'npm',
    'start',
    '--',
    'two words',
    'a $b',
    '--top-p=0.9',
    '1,2',
  ]);
  for (const line of ['echo $HOME', 'a | b', 'a > b', '"open', 'a"b"c'])
    expect(() => shellWords(line)).toThrow('shell');
});
