import { describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { COMMANDS } from '../../src/cli/command_list.ts';
import { COMMAND_NAMES, nearCommand } from '../../src/cli/command_names.ts';
import { OUTPUT_CLOSED } from '../../src/cli/io.ts';
import { run } from '../../src/cli/run.ts';
import { editDistance } from '../../src/cli/spelling.ts';
import { createFakeIo, runCli } from './fake_io.ts';

describe('help and version', () => {
  test('--help lists every command, on stdout', async () => {
    for (const argv of [['--help'], ['-h'], ['help']]) {
      const { exitCode, stdout, stderr } = await runCli(argv);
      expect(exitCode).toBe(0);
      expect(stderr).toBe('');
      for (const name of COMMAND_NAMES) {
        expect(stdout.replace(/\s+/g, ' ')).toContain(`${name} ${COMMANDS[name].summary}`);
      }
      expect(stdout).toContain('Examples:');
    }
  });

  test.each(COMMAND_NAMES)('%s --help and help %s say the same, with examples', async (name) => {
    const { exitCode, stdout } = await runCli([name, '--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Usage: glassformer ${name}`);
    expect(stdout).toContain(name === 'make-random' ? '--out <path>' : '--model <path>');
    expect(stdout).toContain('Examples:');
    expect((await runCli(['help', name])).stdout).toBe(stdout);
  });

  test('--version is the package version', async () => {
    for (const flag of ['--version', '-V']) {
      expect(await runCli([flag])).toEqual({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: '' });
    }
  });
});

describe('wrong usage is exit code 2, nothing on stdout, and a word about what is right', () => {
  test.each([
    [['--top-p', '7'], 'top-p is 7', '(0, 1]'],
    [['--temperature', '-1'], 'temperature is -1', 'lie in [0'],
    [['--temperature', 'warm'], "argument 'warm' is invalid", 'must be a number'],
    [['--temperature', '0x1'], "argument '0x1' is invalid", 'must be a number'],
    [['--top-k', '1.5'], 'top-k is 1.5', 'integer'],
    [['--max-tokens', '0'], "argument '0' is invalid", 'at least 1'],
    [['--max-tokens', '-3'], "argument '-3' is invalid", 'whole number'],
    [['--seed', '18446744073709551616'], 'seed is 18446744073709551616', '2^64 - 1'],
    [['--threads', '0'], 'threads is 0', 'positive integer'],
    [['--threads', '-2'], 'threads is -2', 'positive integer'],
    [['--threads', '1.5'], 'threads is 1.5', 'positive integer'],
    [['--threads', '100000'], 'threads is 100000, this machine runs', 'use at most that'],
    [['--threads', 'two'], "argument 'two' is invalid", 'whole number'],
    [['--max-seq', '0'], 'max-seq is 0', 'positive integer'],
    [['--executor', 'fast'], "argument 'fast' is invalid", 'wasm, naive, naive64'],
    [['--kernels', 'best'], "argument 'best' is invalid", 'auto, simd, relaxed'],
    [['--activations', 'f16'], "argument 'f16' is invalid", 'q8, f32'],
    [['--disable-pass', 'magic'], 'disable-pass is "magic"', 'merge_qkv'],
    [['--ids', '1,x'], '"x" is not a token id', 'from 0'],
    [['--ids', '4294967297'], '"4294967297" is not a token id', 'to 2147483647'],
    [['--logit-bias', '5'], "argument '5' is invalid", 'ID=VALUE'],
    [['--logit-bias', '5=inf'], "argument '5=inf' is invalid", 'number'],
    [['--stop', ''], "argument '' is invalid", 'at least one character'],
    [['--ids', '1', 'word'], 'given by words and by --ids', 'once'],
    [['--ids', '1', '--raw'], '--raw is about text', 'leave --raw out'],
    [['generate', '--raw'], '--raw leaves the start token out', 'needs a text'],
    [['--max-tokenz', '3'], "unknown option '--max-tokenz'", 'Did you mean --max-tokens?'],
    [['--bogus'], "unknown option '--bogus'", 'generate --help'],
    [['--model'], 'argument missing', 'generate --help'],
    [['genrate', 'a text'], 'no command "genrate"', 'did you mean generate?'],
    [['inspct'], 'no command "inspct"', 'did you mean inspect?'],
    [['help', 'nothing'], 'no command "nothing"', 'commands are generate'],
    [['--model', 'x.gguf', 'inspect'], 'a command comes first', 'generate inspect'],
    [['tokenize'], 'give one of', '--decode'],
    [['tokenize', '--decode', '1', 'text'], 'give one of', '--decode'],
    [['inspect', 'a.gguf', '--model', 'b.gguf'], 'given twice', 'a.gguf and b.gguf'],
    [['inspect', '--tensor', 'x'], '--tensor NAME and --out PATH', 'together'],
    [['inspect', '--tensor', 'x', '--out', 'y', '--graph'], '--tensor writes one tensor', 'own'],
    [['inspect', 'a', 'b'], 'too many arguments', 'inspect --help'],
    [['bench', '--repeat', '0'], "argument '0' is invalid", 'at least 1'],
    [['compare', '--a', 'truth'], "argument 'truth' is invalid", 'naive64'],
    [['compare', '--executor', 'wasm'], "unknown option '--executor'", 'compare --help'],
    [['chat', 'hello'], 'too many arguments', 'chat --help'],
  ])('%j', async (argv, what, next) => {
    const { exitCode, stdout, stderr } = await runCli(argv);
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(what);
    expect(stderr).toContain(next);
    expect(stderr).not.toContain('    at '); // no stack
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  });
});

describe('slips of command names', () => {
  test('are found, and words of a prompt are not', () => {
    const slips = { genrate: 'generate', tokenise: 'tokenize', logit: 'logits', inspct: 'inspect' };
    for (const [slip, command] of Object.entries(slips)) expect([slip, nearCommand(slip)]).toEqual([slip, command]);
    for (const word of ['Once', 'that', 'what', 'the', 'general', 'beach', 'a', '', 'Compared to']) {
      expect([word, nearCommand(word)]).toEqual([word, undefined]);
    }
    for (const name of COMMAND_NAMES) expect(nearCommand(name)).toBeUndefined();
  });

  test('edit distance', () => {
    expect(editDistance('kitten', 'sitting', 5)).toBe(3);
    expect(editDistance('', 'abc', 5)).toBe(3);
    expect(editDistance('same', 'same', 0)).toBe(0);
    expect(editDistance('a', 'abcdef', 2)).toBeGreaterThan(2);
  });
});

describe('what fails is one line on stderr', () => {
  const MISSING = ['--model', 'no such\x1b[31m file.gguf'];

  test('with the control characters of a name escaped', async () => {
    const { exitCode, stdout, stderr } = await runCli(MISSING);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toContain('no such');
    expect(stderr).not.toContain('\x1b');
  });

  test('with a stack where it is asked for', async () => {
    for (const result of [
      await runCli([...MISSING, '--debug']),
      await runCli(MISSING, { env: { GLASSFORMER_DEBUG: '1' } }),
    ]) {
      expect(result.stderr).toContain('    at ');
      expect(result.exitCode).toBe(1);
    }
    expect((await runCli(MISSING, { env: { GLASSFORMER_DEBUG: '0' } })).stderr).not.toContain('    at ');
  });

  test('red on a terminal, plain with NO_COLOR', async () => {
    const coloured = await runCli(MISSING, { isStderrTerminal: true });
    expect(coloured.stderr.startsWith('\x1b[31merror:\x1b[0m ')).toBe(true);
    const plain = await runCli(MISSING, { isStderrTerminal: true, env: { NO_COLOR: '1' } });
    expect(plain.stderr).toMatch(/^error: /);
  });

  test('an error that is nobody else’s fault says so', async () => {
    const io = createFakeIo();
    const broken = { ...io, readStdin: () => Promise.reject(new TypeError('x is not a function')) };
    expect(await run(['tokenize', '--file', '-'], broken)).toBe(1);
    expect(io.written.stderr).toMatch(/^error: x is not a function \(unexpected: .*GLASSFORMER_DEBUG=1/);
  });

  test('a file that cannot be read is named, with the next step', async () => {
    const { exitCode, stderr } = await runCli(['generate', '--file', '/no/such/prompt.txt']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^error: --file \/no\/such\/prompt\.txt: there is no such file; check the path \(ENOENT\)\n$/,
    );
  });
});

test('a run that nobody reads any more ends quietly', async () => {
  const io = createFakeIo();
  io.abort(OUTPUT_CLOSED);
  expect(await run(['--temperature', '0'], io)).toBe(0);
  expect(io.written).toEqual({ stdout: '', stderr: '' });
});

test('a run whose output fails for another reason has failed', async () => {
  const io = createFakeIo();
  io.abort(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
  expect(await run(['--temperature', '0'], io)).toBe(1);
  expect(io.written.stderr).toBe('error: ENOSPC: no space left on device, write\n');
});
