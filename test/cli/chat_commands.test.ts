import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runChatCommand } from '../../src/cli/chat_commands.ts';
import { type ChatInput, nextInput } from '../../src/cli/chat_lines.ts';
import { createConversation } from '../../src/cli/conversation.ts';
import { ConfigError } from '../../src/core/errors.ts';
import { loadModel } from '../../src/index.node.ts';
import { type FakeOptions, runCli } from './fake_io.ts';
import { CHAT_TEMPLATE, createTempFolder, tinyContent, withPair, writeGguf } from './model_files.ts';

interface Turn {
  text: string;
  ids: number[];
  finishReason: string;
  timings: { promptTokens: number };
  dropped?: number;
}

const GREEDY = ['--temperature', '0', '-n', '4'];
const TOOLS_TEMPLATE = `{% if tools %}{{ tools | tojson }}{% endif %}{% if brief %}Be brief.{% endif %}${CHAT_TEMPLATE}`;

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let model: string;
let toolModel: string;
beforeAll(async () => {
  folder = await createTempFolder();
  const tiny = await tinyContent();
  const withTemplate = (template: string) => writeGguf(withPair(tiny, 'tokenizer.chat_template', 'string', template));
  model = await folder.put('chat.gguf', withTemplate(CHAT_TEMPLATE));
  toolModel = await folder.put('tools.gguf', withTemplate(TOOLS_TEMPLATE));
});
afterAll(() => folder.remove());
const at = (name: string) => join(folder.path, name);

async function chat(lines: readonly string[], flags: readonly string[] = [], options: FakeOptions = {}) {
  const argv = ['chat', '--model', model, '--json', ...GREEDY, ...flags];
  const { exitCode, stdout, stderr } = await runCli(argv, { ...options, lines });
  const turns = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Turn);
  return { exitCode, stderr, turns, ids: turns.map(({ ids }) => ids) };
}

describe('/undo', () => {
  test('what comes next is as if the turn had not been, bit for bit, in every form of the cache', async () => {
    for (const form of [[], ['--kv', 'paged'], ['--kv', 'prefix'], ['--window', '32', '--sinks', '2']]) {
      const { ids } = await chat(['Hello', 'And you?', 'Good'], form);
      const undone = await chat(['Hello', 'Never said', '/undo', 'And you?', 'No', '/undo', 'Good'], form);
      expect(undone.exitCode).toBe(0);
      expect([0, 2, 4].map((i) => undone.ids[i])).toEqual(ids);
    }
  });

  test('cuts the cache too, and the logits after it are those without the turn', async () => {
    await using loaded = await loadModel(model);
    const session = loaded.createSession();
    const conversation = createConversation(loaded, [], undefined, session);
    const options = { temperature: 0, maxTokens: 4 };
    await conversation.say('Hello', options, () => {});
    const { total, cached } = conversation.tokens();
    await conversation.say('Never said', options, () => {});
    conversation.undo();
    expect(conversation.messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(conversation.tokens().total).toBe(total);
    expect(conversation.tokens().cached).toBeGreaterThanOrEqual(cached);
    expect(conversation.tokens().cached).toBeLessThanOrEqual(total);
    const ids = loaded.promptIds({ messages: [...conversation.messages, { role: 'user', content: 'Good' }] });
    const after = await session.append(ids.slice(session.ids.length));
    using fresh = loaded.createSession();
    expect(after.data).toEqual((await fresh.append(ids)).data);
    conversation.dispose();
  });

  test('back to the start and no further', async () => {
    const { exitCode, stderr, ids } = await chat(['Hello', '/undo', '/undo', 'Hello'], ['--system', 'Be kind.']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('error: /undo: nothing was said yet');
    expect(ids[1]).toEqual(ids[0]);
  });
});

describe('/save and /load', () => {
  test('in both forms: the conversation goes on as it would have', async () => {
    const whole = await chat(['Hello', 'And you?'], ['--system', 'Be kind.']);
    for (const name of ['talk.json', 'talk.session']) {
      const path = at(name);
      expect((await chat(['Hello', `/save ${path}`, 'x'], ['--system', 'Be kind.'])).exitCode).toBe(0);
      const { exitCode, turns } = await chat(['Else', `/load ${path}`, 'And you?']);
      expect(exitCode).toBe(0);
      expect(turns[1]!.ids).toEqual(whole.ids[1]);
      // A session has its rows; messages alone are run again.
      const isShort = turns[1]!.timings.promptTokens === whole.turns[1]!.timings.promptTokens;
      expect(isShort).toBe(name === 'talk.session');
      const flag = await chat(['And you?'], ['--load-session', path]);
      expect(flag.ids[0]).toEqual(whole.ids[1]);
    }
    expect(JSON.parse(readFileSync(at('talk.json'), 'utf8'))).toEqual({
      format: 'glassformer-chat',
      version: 1,
      model,
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: whole.turns[0]!.text },
      ],
    });
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('a file that is damaged, foreign or not there is refused, and the chat goes on', async () => {
    const bytes = readFileSync(at('talk.session'));
    const damaged = Uint8Array.from(bytes, (byte, i) => (i === bytes.length - 40 ? byte ^ 1 : byte));
    const json = (value: unknown) => JSON.stringify(value);
    const chatJson = (messages: unknown, more = {}) =>
      json({ format: 'glassformer-chat', version: 1, messages, ...more });
    const bad: [string, string | Uint8Array | null, RegExp][] = [
      ['missing', null, /no such file/i],
      ['empty', '', /has 0 bytes/],
      ['damaged.session', damaged, /do not have their checksum; it is damaged/],
      ['cut.session', bytes.subarray(0, bytes.length - 9), /positions take \d+ bytes, the file has/],
      ['text.session', 'something else, '.repeat(9), /begins with "somethin"/],
      ['model.session', readFileSync(model).subarray(0, 999), /begins with "GGUF/],
      ['cut.json', '{"format": "glassformer-chat", "mess', /byte|end/],
      ['foreign.json', '{"messages": []}', /has no format, a conversation has "glassformer-chat"/],
      ['other.json', json({ format: 'other' }), /has the format "other"/],
      ['later.json', chatJson([], { version: 2 }), /is of version 2, this program reads 1/],
      ['list.json', chatJson('Hello'), /messages is no list/],
      ['role.json', chatJson([{ content: 'x' }]), /message 1 lacks role or content/],
      ['null.json', chatJson([null]), /message 1 lacks role or content/],
      ['strange.json', chatJson([{ role: 'user', content: 'x', name: 'Tom' }]), /message 1 has "name"/],
      ['parts.json', chatJson([{ role: 'user', content: ['x'] }]), /message 1 has "content"/],
    ];
    for (const [name, content] of bad) if (content !== null) await folder.put(name, content);
    const { exitCode, stderr, ids } = await chat(['Hello', ...bad.map(([name]) => `/load ${at(name)}`), 'And you?']);
    expect(exitCode).toBe(1);
    expect(ids).toEqual((await chat(['Hello', 'And you?'])).ids);
    const errors = stderr.split('\n').filter((line) => line.startsWith('error:'));
    expect(errors).toHaveLength(bad.length);
    bad.forEach(([name, , message], i) => {
      expect(errors[i]).toContain(at(name));
      expect(errors[i]).toMatch(message);
    });
  });

  test('a place that cannot be written, a form that has no rows to save, no file at all', async () => {
    const lines = ['Hello', `/save ${at('no/talk.json')}`, '/save', '/load', 'And you?'];
    const { exitCode, stderr, ids } = await chat(lines);
    expect({ exitCode, n: ids.length }).toEqual({ exitCode: 1, n: 2 });
    expect(stderr).toMatch(/error: .*no\/talk\.json: cannot be written/);
    expect(stderr).toContain('error: /save needs a file; write /save FILE');
    expect(stderr).toContain('error: /load needs a file; write /load FILE');
    const lossy = await chat(['Hello', `/save ${at('w.session')}`, `/save ${at('w.json')}`], ['--window', '20']);
    expect(lossy.stderr).toMatch(/error: session: its cache forgets rows/);
    expect(readdirSync(folder.path).filter((name) => name.startsWith('w.'))).toEqual(['w.json']);
  });
});

describe('/system, /clear, /tokens', () => {
  test('the system message is the one that was set last, for the whole conversation', async () => {
    const kind = await chat(['Hello', 'And you?'], ['--system', 'Be kind.']);
    const set = await chat([
      '/system',
      '/system Be kind.',
      'Hello',
      '/system',
      'And you?',
      '/system -',
      '/clear',
      'Hello',
    ]);
    expect(set.exitCode).toBe(0);
    expect(set.ids.slice(0, 2)).toEqual(kind.ids);
    expect(set.ids[2]).toEqual((await chat(['Hello'])).ids[0]);
    expect(set.stderr).toMatch(/there is no system message\nsystem: Be kind\.\n/);
  });

  test('one that the template refuses leaves the conversation as it was', async () => {
    const template = `{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}${CHAT_TEMPLATE}`;
    const strict = await folder.put(
      'strict.gguf',
      writeGguf(withPair(await tinyContent(), 'tokenizer.chat_template', 'string', template)),
    );
    const { exitCode, stderr, ids } = await chat(['/system Be kind.', 'Hello'], ['--model', strict]);
    expect({ exitCode, n: ids.length }).toEqual({ exitCode: 1, n: 1 });
    expect(stderr).toContain('error: chat template refuses these messages: no system here');
  });

  test('/tokens counts what the next prompt begins with', async () => {
    const { stderr } = await chat(['/tokens', 'Hello', '/tokens']);
    await using loaded = await loadModel(model);
    const [answer] = (await chat(['Hello'])).turns;
    const messages = [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: answer!.text },
      { role: 'user', content: '' },
    ];
    const end = loaded.tokenize('<|end|><|assistant|>', { parseSpecial: true, addSpecial: false }).length;
    const total = loaded.promptIds({ messages }).length - end;
    expect(stderr).toMatch(/^0 tokens before the next message, of 96 \(0\.0 %\); 0 messages, 0 positions/);
    expect(stderr).toContain(`${total} tokens before the next message, of 96`);
  });
});

describe('--tools and --template-var', () => {
  const tools = [{ type: 'function', function: { name: 'now' } }];

  test('are what the template is given', async () => {
    const path = await folder.put('tools.json', JSON.stringify(tools));
    await using loaded = await loadModel(toolModel);
    const prompt = { messages: [{ role: 'user', content: 'Hi' }], tools, variables: { brief: true } };
    const { promptTokens } = (
      await chat(['Hi'], ['--model', toolModel, '--tools', path, '--template-var', 'brief=true'])
    ).turns[0]!.timings;
    expect(promptTokens).toBe(loaded.promptIds(prompt).length);
    expect(promptTokens).toBeGreaterThan(loaded.promptIds({ messages: prompt.messages }).length);
  });

  test('a call in the answer is printed as it is, special tokens too', async () => {
    await using loaded = await loadModel(toolModel);
    const id = loaded.tokenize('<|system|>', { parseSpecial: true, addSpecial: false })[0]!;
    const path = await folder.put('tools.json', JSON.stringify(tools));
    const flags = ['--model', toolModel, '--logit-bias', `${id}=1000`, '-n', '2'];
    expect((await chat(['Hi'], [...flags, '--tools', path])).turns[0]!.text).toBe('<|system|><|system|>');
    expect((await chat(['Hi'], flags)).turns[0]!.text).toBe('');
  });

  test('that the template does not read, or that are no tools, are refused by name', async () => {
    const path = await folder.put('tools.json', JSON.stringify(tools));
    const refused = async (flags: readonly string[]) => {
      const { exitCode, stderr, turns } = await chat(['Hi'], flags);
      expect(turns).toEqual([]);
      return `${exitCode} ${stderr}`;
    };
    expect(await refused(['--tools', path])).toMatch(
      /^1 error: --tools: the chat template of .* does not read "tools"/,
    );
    expect(await refused(['--template-var', 'x=1'])).toMatch(/^1 error: --template-var: .* does not read "x"/);
    expect(await refused(['--template-var', 'x'])).toMatch(/^2 error: .*NAME=VALUE/);
    for (const [name, content, message] of [
      ['no.json', '{"a": 1}', /must be a list of objects/],
      ['bad.json', '[1', /is not JSON/],
      ['one.json', '[1]', /must be a list of objects/],
    ] as const) {
      const file = await folder.put(name, content);
      expect(await refused(['--model', toolModel, '--tools', file])).toMatch(message);
    }
  });
});

describe('--overflow shift', () => {
  const long = 'a '.repeat(30);

  test('goes on and says so each time, keeps the system message, and gives what the kept tokens alone would', async () => {
    const lines = [long, 'One', long, 'Two', 'Three'];
    const refused = await chat(lines, ['--system', 'Be kind.']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/error: the conversation has \d+ tokens, the context has room for maxSeq=96/);
    const { exitCode, stderr, turns } = await chat(lines, ['--system', 'Be kind.', '--overflow', 'shift']);
    expect({ exitCode, n: turns.length }).toEqual({ exitCode: 0, n: lines.length });
    const told = [...stderr.matchAll(/the context is full: dropped (\d+) tokens/g)].map(([, n]) => Number(n));
    expect(told.length).toBeGreaterThan(0);
    expect(told.reduce((sum, n) => sum + n, 0)).toBe(turns.reduce((sum, { dropped = 0 }) => sum + dropped, 0));

    await using loaded = await loadModel(model);
    const messages: { role: string; content: string }[] = [{ role: 'system', content: 'Be kind.' }];
    lines.forEach((content, i) => {
      messages.push({ role: 'user', content });
      if (i < lines.length - 1) messages.push({ role: 'assistant', content: turns[i]!.text });
    });
    const all = loaded.promptIds({ messages });
    const isAfter = loaded.tokenize('<|user|>', { parseSpecial: true, addSpecial: false })[0]!;
    const sinks = all.indexOf(isAfter) + 1;
    const dropped = turns.reduce((sum, turn) => sum + (turn.dropped ?? 0), 0);
    const kept = [...all.slice(0, sinks), ...all.slice(sinks + dropped)];
    const ids: number[] = [];
    for await (const { id } of loaded.generate({ ids: kept }, { temperature: 0, maxTokens: 4 })) ids.push(id);
    expect(ids).toEqual(turns.at(-1)!.ids);
  });

  test('also in the middle of an answer, and --sinks says how many stay', async () => {
    const { exitCode, stderr, turns } = await chat(['Hello'], ['--overflow', 'shift', '--sinks', '6', '-n', '150']);
    expect({ exitCode, n: turns[0]!.ids.length }).toEqual({ exitCode: 0, n: 150 });
    expect(turns[0]!.dropped).toBe(90); // (96 - 6) / 2, twice
    expect(stderr).toMatch(/dropped 45 tokens.*\n.*dropped 45 tokens/);
    const more = await chat(['Hello'], ['--overflow', 'shift', '--sinks', '80']);
    expect(more).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/80 sinks .* up to half of maxSeq=96/) });
  });
});

describe('nextInput', () => {
  async function all(lines: readonly string[]): Promise<(ChatInput | null)[]> {
    const waiting = [...lines];
    const reader = { next: async () => waiting.shift() ?? null, onInterrupt() {}, close() {} };
    const inputs: (ChatInput | null)[] = [];
    while (waiting.length > 0) inputs.push(await nextInput(reader));
    return inputs;
  }
  const message = (text: string) => ({ kind: 'message', text });

  test.each<[string, string[], object[]]>([
    ['a line', ['Hello'], [message('Hello')]],
    ['a command and its argument', ['/save a b.json '], [{ kind: 'command', name: 'save', argument: 'a b.json' }]],
    ['two slashes', ['//save'], [message('/save')]],
    ['a backslash at the end', ['a\\', '/b\\', 'c', 'd'], [message('a\n/b\nc'), message('d')]],
    ['two backslashes', ['a\\\\', 'b'], [message('a\\'), message('b')]],
    ['a backslash at the end of the input', ['a\\'], [message('a\n')]],
    ['quotes', ['"""', 'a', '/exit', '', 'b\\', '"""', 'c'], [message('a\n/exit\n\nb\\'), message('c')]],
    ['quotes beside the text', ['"""a', 'b"""'], [message('a\nb')]],
    ['quotes in one line', ['"""a "b" """'], [message('a "b" ')]],
    ['quotes and nothing', ['"""', '"""'], [message('')]],
  ])('%s', async (_name, lines, expected) => expect(await all(lines)).toEqual(expected));

  test('quotes that never end', async () => {
    await expect(all(['"""', 'a'])).rejects.toThrow(ConfigError);
    const { exitCode, stderr } = await chat(['"""', 'Hello']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('the input ends within it');
  });

  test('any text comes through between quotes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', '/x', '\\', ' b', '"'), { minLength: 1, maxLength: 4 }),
        async (lines) => {
          expect(await all(['"""', ...lines, '"""'])).toEqual([message(lines.join('\n'))]);
        },
      ),
    ));
});

test('every command that /help lists is there', async () => {
  await using loaded = await loadModel(model);
  let help = '';
  const options = { shared: {}, overflow: undefined };
  const state = {
    model: loaded,
    options,
    conversation: createConversation(loaded, []),
    tell: (text: string) => (help += text),
  };
  await runChatCommand(state, 'help', '');
  const names = [...help.matchAll(/\/(\w+)/g)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(9);
  for (const name of names) {
    const told = await runChatCommand(state, name, '').catch((error: Error) => error.message);
    expect(String(told)).not.toContain('there is no command');
  }
  await expect(runChatCommand(state, 'nope', '')).rejects.toThrow(ConfigError);
});
