import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder } from './model_files.ts';

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeAll(async () => {
  folder = await createTempFolder();
});
afterAll(() => folder.remove());

const SCHEMA = '{"type": "array", "items": {"enum": ["cat", "dog", 7, null]}, "minItems": 2, "maxItems": 3}';

const run = (...flags: string[]) => runCli(['generate', '--seed', '1', ...flags, 'Once upon a time']);

test('--schema: stdout is JSON of that form, and the exit code 0', async () => {
  const schema = await folder.put('list.json', SCHEMA);
  const { stdout, exitCode } = await run('--schema', schema);
  expect(exitCode).toBe(0);
  const list = JSON.parse(stdout) as unknown[];
  expect(list.length).toBeGreaterThanOrEqual(2);
  for (const item of list) expect(['cat', 'dog', 7, null]).toContain(item);
});

test('--schema true: any JSON', async () => {
  const { stdout, stderr } = await run(
    '--schema',
    await folder.put('any.json', 'true'),
    '--logit-bias',
    '0=0',
    '-n',
    '6',
  );
  expect(stderr).not.toContain('schema');
  expect(stdout).not.toBe('');
});

test('--grammar, with --json: the reason and whether the text is complete', async () => {
  const grammar = await folder.put('pet.gbnf', '# a pet\nroot ::= " a " ("cat" | "dog")\n');
  const result = await runJson(['generate', '--temperature', '0', '--grammar', grammar, '--json', 'She had']);
  expect(result).toMatchObject({ finishReason: 'grammar', isComplete: true });
  expect([' a cat', ' a dog']).toContain((result as { text: string }).text);
});

describe('an output that is not complete fails, and is shown', () => {
  test('for want of tokens', async () => {
    const schema = await folder.put('list.json', SCHEMA);
    const { stdout, stderr, exitCode } = await run('--schema', schema, '-n', '1');
    expect(exitCode).toBe(1);
    expect(stdout.startsWith('[')).toBe(true);
    expect(stderr).toContain('error: the output is not complete: it ended at max-tokens=1; raise --max-tokens\n');
    const json = await run('--schema', schema, '-n', '1', '--json');
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ finishReason: 'length', isComplete: false });
  });

  test('for want of positions', async () => {
    const schema = await folder.put('list.json', SCHEMA);
    const { stderr, exitCode } = await run('--schema', schema, '--max-seq', '6');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('error: the output is not complete: the context is full at max-seq=6');
  });

  test('because of a stop string', async () => {
    const schema = await folder.put('list.json', SCHEMA);
    const { stderr, exitCode } = await run('--schema', schema, '--stop', '[');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('error: the output is not complete: a stop string came first');
  });
});

describe('wrong files', () => {
  test.each([
    ['--schema', '{"type": ', 1, 'the text ends here; it is cut short (at byte 9)'],
    ['--schema', '', 1, 'wrong: is empty, 0 bytes; expected JSON, such as {}'],
    ['--schema', '"a"', 1, 'wrong: holds a string, a schema is an object, true or false'],
    ['--schema', 'false', 1, 'schema: # has no text at all'],
    ['--schema', '{"type": "integer", "maximum": 1e400}', 1, 'schema: #/maximum is Infinity, must be a finite number'],
    ['--schema', '[]', 1, 'wrong: holds an array, a schema is an object, true or false'],
    ['--schema', '{"a": 1, "a": 2', 1, 'wrong: '],
    ['--schema', `${'{"items":'.repeat(100)}{}${'}'.repeat(100)}`, 1, 'wrong: '],
    [
      '--schema',
      '{"properties": {"a/b": {"uniqueItems": true}}}',
      1,
      'schema: #/properties/a~1b: the keyword "uniqueItems" is not supported',
    ],
    ['--schema', '{"$ref": "#"}', 1, 'schema: left recursion, # -> #'],
    ['--grammar', '', 1, 'grammar: line 1, column 1: there is no rule root'],
    [
      '--grammar',
      'root ::= "a"\nroot2 := "b"',
      1,
      'grammar: line 2, column 7: expected ::= after the name root2, found ":" (at byte 19)',
    ],
    ['--grammar', 'root ::= root', 1, 'grammar: left recursion, root -> root'],
    ['--grammar', '\u0000\u0001', 1, 'grammar: line 1, column 1: a rule must begin here with its name'],
  ])('%s %s', async (flag, content, code, message) => {
    const path = await folder.put('wrong', content);
    const { stdout, stderr, exitCode } = await run(flag, path);
    expect([stdout, exitCode]).toEqual(['', code]);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('unexpected');
  });

  test('bytes that are no UTF-8, a folder, a file that is not there', async () => {
    const path = await folder.put('wrong', Uint8Array.of(0x72, 0xff));
    for (const flag of ['--schema', '--grammar']) {
      for (const wrong of [path, folder.path, `${folder.path}/none`]) {
        const { stdout, stderr, exitCode } = await run(flag, wrong);
        expect([stdout, exitCode]).toEqual(['', 1]);
        expect(stderr).toContain(wrong);
        expect(stderr).not.toContain('unexpected');
      }
    }
  });

  test('both forms at once', async () => {
    const { stderr, exitCode } = await run('--schema', 'a', '--grammar', 'b');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error: --schema and --grammar are both given');
  });
});
