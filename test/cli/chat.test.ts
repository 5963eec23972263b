import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepCommonPrefix } from '../../src/cli/conversation.ts';
import { loadModel } from '../../src/index.node.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { bytesOf } from '../support/pieces.ts';
import { type FakeOptions, runCli } from './fake_io.ts';
import { CHAT_TEMPLATE, createTempFolder, tinyContent, withPair, writeGguf } from './model_files.ts';

interface Turn {
  text: string;
  ids: number[];
  finishReason: string;
  timings: { promptTokens: number; genTokens: number };
}

const GREEDY = ['--temperature', '0', '-n', '4'];

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let model: string;
beforeAll(async () => {
  folder = await createTempFolder();
  const content = withPair(await tinyContent(), 'tokenizer.chat_template', 'string', CHAT_TEMPLATE);
  model = await folder.put('chat.gguf', writeGguf(content));
});
afterAll(() => folder.remove());

async function turns(
  lines: readonly string[],
  flags: readonly string[] = [],
  options: FakeOptions = {},
): Promise<Turn[]> {
  const { exitCode, stdout, stderr } = await runCli(['chat', '--model', model, '--json', ...GREEDY, ...flags], {
    ...options,
    lines,
  });
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stderr}`);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Turn);
}

/** What the model answers to these messages, from nothing. */
async function answerTo(...messages: [role: string, content: string][]): Promise<string> {
  await using loaded = await loadModel(model);
  let text = '';
  const prompt = { messages: messages.map(([role, content]) => ({ role, content })) };
  for await (const piece of loaded.generate(prompt, { temperature: 0, maxTokens: 4 })) text += piece.text;
  return text;
}

describe('a conversation', () => {
  test('each answer is the one to all that was said, and only new tokens are run', async () => {
    const [first, second, third] = await turns(['Hello there', 'And you?', 'Good']);
    expect(first!.text).toBe(await answerTo(['user', 'Hello there']));
    const soFar: [string, string][] = [
      ['user', 'Hello there'],
      ['assistant', first!.text],
      ['user', 'And you?'],
    ];
    expect(second!.text).toBe(await answerTo(...soFar));
    expect(third!.text).toBe(await answerTo(...soFar, ['assistant', second!.text], ['user', 'Good']));

    await using loaded = await loadModel(model);
    const whole = loaded.promptIds({ messages: soFar.map(([role, content]) => ({ role, content })) });
    expect(first!.timings.promptTokens).toBeLessThan(whole.length);
    expect(second!.timings.promptTokens).toBeLessThan(whole.length - first!.timings.promptTokens);
  });

  test('--system comes first, also after /reset', async () => {
    const [first, again] = await turns(['Hello', '/reset', 'Hello'], ['--system', 'Be kind.']);
    expect(first!.text).toBe(await answerTo(['system', 'Be kind.'], ['user', 'Hello']));
    expect(again!.text).toBe(first!.text);
    expect(again!.timings.promptTokens).toBe(first!.timings.promptTokens);
  });

  test('/quit ends it, empty lines are passed over, a double slash sends one', async () => {
    const answers = await turns(['', '  ', '//help', '/quit', 'never asked']);
    expect(answers.map(({ text }) => text)).toEqual([await answerTo(['user', '/help'])]);
  });

  test('/help and unknown commands answer on stderr; the chat goes on, and a script says at its end that something failed', async () => {
    const argv = ['chat', '--model', model, ...GREEDY];
    const { exitCode, stdout, stderr } = await runCli(argv, { lines: ['/help', '/\x1b[31m now', 'Hello'] });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: `${await answerTo(['user', 'Hello'])}\n` });
    expect(stderr).toContain('/reset');
    expect(stderr).toContain('error: there is no command /\\x1b[31m');
    expect(stderr).not.toContain('\x1b');
    const person = await runCli(argv, { lines: ['/nope'], isStderrTerminal: true });
    expect(person.exitCode).toBe(0);
  });

  test('stdout has the answers, a line each; stderr the figures', async () => {
    const { exitCode, stdout, stderr } = await runCli(['chat', '--model', model, ...GREEDY], { lines: ['Hello'] });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${await answerTo(['user', 'Hello'])}\n` });
    expect(stderr).toMatch(/^\d+ prompt tokens at .* 4 tokens generated at .*\n$/);
  });
});

describe('Ctrl-C', () => {
  test('stops the answer, not the conversation, which goes on from what there is', async () => {
    let nTexts = 0;
    const argv = ['chat', '--model', model, '--temperature', '0', '-n', '40'];
    const { exitCode, stdout } = await runCli(argv, {
      lines: ['Hello', 'Go on'],
      onStdout(text, io) {
        if (text !== '\n' && ++nTexts === 3) io.pressCtrlC();
      },
    });
    expect(exitCode).toBe(0);
    const [first] = stdout.split('\n');
    const whole = await turns(['Hello'], ['-n', '40']);
    expect(whole[0]!.text.startsWith(first!)).toBe(true);
    expect(first!.length).toBeLessThan(whole[0]!.text.length);
    const second = stdout.slice(first!.length + 1);
    const expected = await answerTo(['user', 'Hello'], ['assistant', first!], ['user', 'Go on']);
    expect(second.startsWith(expected)).toBe(true);
  });

  test('a second one leaves, during the answer and at the question', async () => {
    const argv = ['chat', '--model', model, '--temperature', '0', '-n', '40'];
    for (const lines of [['Hello', 'Go on'], ['Hello']]) {
      let nTexts = 0;
      const { exitCode, stdout, stderr } = await runCli(argv, {
        lines,
        onStdout(text, io) {
          if (text === '\n' || ++nTexts === 3) io.pressCtrlC();
        },
      });
      expect({ exitCode, nTexts }).toEqual({ exitCode: 130, nTexts: 3 });
      expect(stdout.endsWith('\n')).toBe(true);
      expect(stderr).not.toContain('error');
    }
    // Not one after another in two questions.
    let nInterrupts = 0;
    const hinted = await runCli(argv, {
      lines: ['/tokens', '/tokens', 'Hello'],
      onQuestion: (io) => {
        if (nInterrupts++ < 2) io.pressCtrlC();
      },
    });
    expect(hinted.exitCode).toBe(0);
    expect(hinted.stderr.match(/Ctrl-C again leaves/g)).toHaveLength(2);
    const left = await runCli(argv, {
      lines: ['Hello'],
      onQuestion: (io) => {
        io.pressCtrlC();
        io.pressCtrlC();
      },
    });
    expect(left).toMatchObject({ exitCode: 130, stdout: '' });
  });

  test('from outside is an end', async () => {
    for (let check = 1; ; check++) {
      const argv = ['chat', '--model', model, ...GREEDY, '--json'];
      const { exitCode, stdout } = await runCli(argv, { lines: ['Hello'], interruptAtCheck: check });
      if (exitCode === 0) break;
      expect(exitCode).toBe(130);
      expect(stdout === '' || (JSON.parse(stdout) as Turn).finishReason).toBeTruthy();
    }
  });
});

describe('what goes wrong', () => {
  test('a model without a template, before anything is asked', async () => {
    const plain = await folder.put('plain.gguf', writeGguf(await tinyContent()));
    const { exitCode, stdout, stderr } = await runCli(['chat', '--model', plain], { lines: ['Hello'] });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('has no chat template');
  });

  test('a full context ends a script, and on a terminal only the turn', async () => {
    const long = 'a '.repeat(100);
    const argv = ['chat', '--model', model, ...GREEDY];
    const script = await runCli(argv, { lines: [long, 'Hello'] });
    expect(script.exitCode).toBe(1);
    expect(script.stderr).toMatch(/error: .* 105 tokens, .*maxSeq=96; shorten .*--overflow shift/);
    const person = await runCli(argv, { lines: [long, 'Hello'], isStderrTerminal: true });
    expect(person.exitCode).toBe(0);
    expect(person.stderr).toMatch(/error:.* 105 tokens, .*maxSeq=96; shorten .*--overflow shift/);
    // The message that did not fit is forgotten.
    expect(person.stdout).toBe(`${await answerTo(['user', 'Hello'])}\n`);
  });

  test('a template that writes the date has a clock', async () => {
    const template = `{% for m in messages %}{{ strftime_now('%Y')[:0] + m['content'] }}{% endfor %}`;
    const content = withPair(await tinyContent(), 'tokenizer.chat_template', 'string', template);
    const dated = await folder.put('dated.gguf', writeGguf(content));
    const { exitCode, stdout } = await runCli(['chat', '--model', dated, ...GREEDY], { lines: ['Hello'] });
    expect(exitCode).toBe(0);
    await using loaded = await loadModel(dated);
    const prompt = { messages: [{ role: 'user', content: 'Hello' }] };
    expect(() => loaded.promptIds(prompt)).toThrow(
      'calls strftime_now, which is not there; it asks for the date: pass `now`',
    );
    expect(loaded.promptIds({ ...prompt, now: new Date(0) })).toEqual(loaded.tokenize('Hello'));
    expect(stdout).not.toBe('');
  });

  test('a template that refuses the message', async () => {
    const template = `{{ raise_exception('no talking') }}`;
    const content = withPair(await tinyContent(), 'tokenizer.chat_template', 'string', template);
    const refusing = await folder.put('refusing.gguf', writeGguf(content));
    const { exitCode, stderr } = await runCli(['chat', '--model', refusing], { lines: ['Hello'] });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('no talking');
  });
});

describe('a conversation in a file', () => {
  const at = (name: string) => join(folder.path, name);

  test('goes on as if it had never stopped, and runs only new tokens', async () => {
    const whole = await turns(['Hello there', 'And you?']);
    const [first] = await turns(['Hello there'], ['--save-session', at('a.session')]);
    const again = ['--load-session', at('a.session'), '--save-session', at('a.session'), '--kv', 'paged'];
    const [second] = await turns(['And you?'], again);
    expect([first!.text, second!.text]).toEqual(whole.map(({ text }) => text));
    expect(second!.timings).toMatchObject({ promptTokens: whole[1]!.timings.promptTokens });
    const [third] = await turns(['Good'], ['--load-session', at('a.session')]);
    const missing = ['chat', '--model', 'no-such-model.gguf', '--load-session', at('a.session')];
    const rounded = await runCli([...missing, '--kv', 'paged', '--kv-type', 'q8_0']);
    expect(rounded.exitCode).toBe(2);
    expect(rounded.stderr).toContain(
      'has rows as they were computed, which --kv-type drops or rounds; leave --kv-type out',
    );
    expect(third!.text).toBe((await turns(['Hello there', 'And you?', 'Good']))[2]!.text);
  });

  test.each(['both.json', 'both.session'])(
    'saved to %s within the chat and at its end, both are whole',
    async (name) => {
      const path = at(name);
      const said = ['Hello there', `/save ${path}`, 'And you?', '/reset'];
      await turns(said, ['--save-session', path]);
      const alone = at(`alone.${name}`);
      await turns(said.toSpliced(1, 1), ['--save-session', alone]);
      expect(readFileSync(path)).toEqual(readFileSync(alone));
      expect(readdirSync(folder.path).filter((file) => file.endsWith('.part'))).toEqual([]);
    },
  );

  test('is written when Ctrl-C ends it, and an older file stays when nothing can be', async () => {
    for (let check = 1; ; check++) {
      const path = at(`${check}.session`);
      const argv = ['chat', '--model', model, ...GREEDY, '--json', '--save-session', path];
      const { exitCode } = await runCli(argv, { lines: ['Hello'], interruptAtCheck: check });
      // Before the conversation began there is nothing to keep, and no half of a file.
      expect(readdirSync(folder.path).filter((name) => name.endsWith('.part'))).toEqual([]);
      if (existsSync(path)) expect(await turns(['Go on'], ['--load-session', path])).toHaveLength(1);
      if (exitCode === 0) break;
      expect(exitCode).toBe(130);
    }
    const refused = await runCli(['chat', '--model', model, '--save-session', at('no/a.session')], {
      lines: ['Hello'],
    });
    expect(refused).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringMatching(/cannot be written/) });
  });

  test.each([
    ['none', null, /no such file/i],
    [
      'not a session',
      'something else that is long enough to have a header, '.repeat(4),
      /begins with "somethin", not "GLASSKV1"/,
    ],
    ['too short', 'GLASSKV1', /has 8 bytes, a session has at least 64/],
  ])('%s', async (name, content, message) => {
    const path = content === null ? at('missing.session') : await folder.put(`${name}.session`, content);
    const { exitCode, stdout, stderr } = await runCli(['chat', '--model', model, '--load-session', path], {
      lines: ['Hello'],
    });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('a session that is no conversation, and flags that exclude each other', async () => {
    await using loaded = await loadModel(model);
    using session = loaded.createSession();
    await session.append([1, 5]);
    const path = await folder.put('plain.session', await bytesOf(session.save('plain text')));
    const { exitCode, stderr } = await runCli(['chat', '--model', model, '--load-session', path]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(/is a session, but not of a chat/),
    });
    const both = await runCli(['chat', '--model', model, '--load-session', path, '--system', 'Be brief']);
    expect(both).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/cannot be used with/) });
  });
});

describe('keepCommonPrefix', () => {
  type Keep = typeof keepCommonPrefix;
  const ids = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 6 });

  /** The session ends up with exactly `next`; at least one id is run; nothing is run that is there already. */
  const keeps = (keep: Keep) =>
    fc.property(ids, ids, fc.integer({ min: 0, max: 2 }), (past, start, last) => {
      const next = [...start, last];
      const session = {
        ids: [...past],
        truncate(length: number) {
          this.ids.length = length;
        },
      };
      const fresh = keep(session, next);
      const joined = [...session.ids, ...fresh];
      const isJoined = joined.length === next.length && joined.every((id, i) => id === next[i]);
      const isShort = fresh.length === 1 || past.length <= session.ids.length || past[session.ids.length] !== fresh[0];
      return isJoined && fresh.length >= 1 && isShort;
    });

  test('appends what is new and at least one id', () => fc.assert(keeps(keepCommonPrefix)));

  test.each<[string, Keep]>([
    [
      'leaves nothing to run',
      (session, next) => {
        let common = 0;
        while (common < next.length && session.ids[common] === next[common]) common++;
        session.truncate(common);
        return next.slice(common);
      },
    ],
    [
      'forgets to truncate',
      (session, next) => {
        let common = 0;
        while (common < next.length - 1 && session.ids[common] === next[common]) common++;
        return next.slice(common);
      },
    ],
    [
      'runs everything again',
      (session, next) => {
        session.truncate(0);
        return [...next];
      },
    ],
  ])('one that %s is caught', (_name, mutant) => {
    expect(fc.check(keeps(mutant), SEARCH).failed).toBe(true);
  });
});
