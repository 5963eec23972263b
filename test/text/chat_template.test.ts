import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { type ChatMessage, renderChat } from '../../src/text/chat_template.ts';
import { configChatTemplate, ggufChatTemplate, needChatTemplate } from '../../src/text/template_source.ts';

const CHAT: readonly ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi {{ there }}!' },
  { role: 'assistant', content: ' Hello. ' },
  { role: 'user', content: 'Bye\n' },
];

const CHATML = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`;

const LLAMA2 = `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`;

const LLAMA3 = `{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`;

const ZEPHYR = `{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}`;

const MISTRAL = `{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token+ ' ' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}`;

const TOKENS = { bosToken: '<s>', eosToken: '</s>' };

describe('templates of well-known models', () => {
  test('ChatML', () => {
    expect(renderChat(CHATML, CHAT)).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi {{ there }}!<|im_end|>\n' +
        '<|im_start|>assistant\n Hello. <|im_end|>\n<|im_start|>user\nBye\n<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(renderChat(CHATML, CHAT.slice(0, 1), { addGenerationPrompt: false })).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n',
    );
  });

  test('Llama 2', () => {
    expect(renderChat(LLAMA2, CHAT, TOKENS)).toBe(
      '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi {{ there }}! [/INST] Hello. </s><s>[INST] Bye [/INST]',
    );
  });

  test('Llama 3', () => {
    expect(renderChat(LLAMA3, CHAT, { bosToken: '<|begin_of_text|>', eosToken: '<|eot_id|>' })).toBe(
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHi {{ there }}!<|eot_id|>' +
        '<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    );
  });

  test('Zephyr and TinyLlama', () => {
    expect(renderChat(ZEPHYR, CHAT, TOKENS)).toBe(
      '<|system|>\nBe brief.</s>\n<|user|>\nHi {{ there }}!</s>\n<|assistant|>\n Hello. </s>\n' +
        '<|user|>\nBye\n</s>\n<|assistant|>\n',
    );
  });

  test('Mistral', () => {
    expect(renderChat(MISTRAL, CHAT.slice(1), TOKENS)).toBe(
      '<s>[INST] Hi {{ there }}! [/INST] Hello. </s> [INST] Bye\n [/INST]',
    );
    expect(() => renderChat(MISTRAL, CHAT, TOKENS)).toThrow(ConfigError);
    expect(() => renderChat(MISTRAL, CHAT, TOKENS)).toThrow(/Conversation roles must alternate/);
  });
});

describe('what templates can ask for', () => {
  test('the date comes from the clock that is handed in, in UTC', () => {
    const now = new Date('2024-02-05T23:07:09Z');
    expect(renderChat("{{ strftime_now('%d %b %Y|%Y-%m-%d %H:%M:%S|%A %B %-d|%j|%I%p|%%') }}", [], { now })).toBe(
      '05 Feb 2024|2024-02-05 23:07:09|Monday February 5|036|11PM|%',
    );
    expect(() => renderChat("{{ strftime_now('%Y') }}", [])).toThrow(/pass `now`/);
    // Llama 3.2 has a date of its own for programs that have no clock.
    const orFixed = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2020{% endif %}";
    expect(renderChat(orFixed, [])).toBe('2020');
    expect(renderChat(orFixed, [], { now })).toBe('2024');
    expect(() => renderChat("{{ strftime_now('%Q') }}", [], { now })).toThrow(ConfigError);
  });

  test('tools are null unless given, further variables by name', () => {
    const template = '{% if tools %}{{ tools | tojson }}{% endif %}{{ tools is none }}{{ enable_thinking }}';
    expect(renderChat(template, [], { variables: { enable_thinking: false } })).toBe('TrueFalse');
    expect(renderChat(template, [], { tools: [{ name: 'f' }], variables: { enable_thinking: 1 } })).toBe(
      '[{"name": "f"}]False1',
    );
    expect(() => renderChat('', [], { variables: { messages: [] } })).toThrow(ConfigError);
  });

  test('range, loops with break and continue, macros, namespaces, filters, filter and set blocks', () => {
    expect(renderChat('{{ range(3) }}{{ range(5, 0, -2) }}{{ range(0) | length }}', [])).toBe('[0, 1, 2][5, 3, 1]0');
    const jumps =
      '{% for i in range(2000) %}{% if i % 2 %}{% continue %}{% endif %}{% if i > 8 %}{% break %}{% endif %}{{ i }}{% endfor %}';
    expect(renderChat(jumps, [])).toBe('02468');
    // Jumps unwind through nested evaluations; the count of these must come back down.
    expect(renderChat('{% for i in range(2000) %}{% if 1 %}{% continue %}{% endif %}{% endfor %}ok', [])).toBe('ok');
    expect(renderChat('{% macro m(a, b=2) %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(3, b=4) }}', [])).toBe(
      '<12><34>',
    );
    expect(
      renderChat(
        '{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}',
        [],
      ),
    ).toBe('6');
    expect(
      renderChat("{{ 'a-b-c'.split('-') | join('+') }}{{ 'xx'.replace('x', 'yz') }}{{ 'a\nb' | indent(2) }}", []),
    ).toBe('a+b+cyzyza\n  b');
    expect(
      renderChat("{% filter replace('a', 'b') %}banana{{ 1 }}{% endfilter %}{% set s %}{{ 2 }}{% endset %}{{ s }}", []),
    ).toBe('bbnbnb12');
    expect(renderChat("{{ {'a': [1, 'é']} | tojson(indent=2) }}", [])).toBe('{\n  "a": [\n    1,\n    "é"\n  ]\n}');
    expect(renderChat("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", CHAT)).toBe('2');
  });

  test('wrong syntax is a FormatError, a failure while it runs a ConfigError', () => {
    for (const template of ['{% for %}', '{{ 1 +', '{% if x %}', '{# never closed', '{{ "\\q" }}']) {
      expect(() => renderChat(template, []), template).toThrow(FormatError);
    }
    for (const template of ['{{ 1() }}', '{{ none + 1 }}', "{{ raise_exception('no') }}", '{{ 1 | nofilter }}']) {
      expect(() => renderChat(template, []), template).toThrow(ConfigError);
    }
    expect(() => renderChat("{{ raise_exception('only users') }}", [])).toThrow(/only users/);
  });
});

/** Builds a string of 8 * 2^n characters in ns.s. */
const doubled = (n: number) =>
  `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(${n}) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`;
const loop = (body: string) => `{% for i in range(60000) %}${body}{% endfor %}`;

describe('hostile templates end', () => {
  const hostile: Record<string, string> = {
    'nested loops': loop(loop('')),
    'nested loops that print': loop(loop('x')),
    'a macro that calls itself': '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
    'a macro that calls itself twice':
      '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
    'a string doubled by ~': doubled(100),
    'a string doubled by +': doubled(100).replaceAll('~', '+'),
    'replace by method': `${doubled(10)}{{ ns.s.replace('a', ns.s).replace('a', ns.s) }}`,
    'replace by filter': `${doubled(12)}{{ ns.s | replace('a', ns.s) }}`,
    'replace by filter block': `${doubled(12)}{% filter replace('a', ns.s) %}{{ ns.s }}{% endfilter %}`,
    'replace, stored first': `${doubled(12)}{% set f = ns.s.replace %}{{ f('a', ns.s) }}`,
    'replace, named at run time, arguments unpacked': `${doubled(12)}{{ ns.s['repl' ~ 'ace'](*['a', ns.s]) }}`,
    'replace of nothing': `${doubled(12)}{{ ns.s.replace('', ns.s) }}`,
    'join with a long separator': `${doubled(12)}{{ range(60000) | join(ns.s) }}`,
    'join of characters': `${doubled(12)}{{ ns.s | join(ns.s) }}`,
    'indent by a billion': "{{ 'a\\nb' | indent(1000000000) }}",
    'tojson with a wide indent': '{{ [[1], [2]] | tojson(indent=100000000) }}',
    'tojson with long separators': `${doubled(14)}{{ range(60000) | tojson(separators=(ns.s, ns.s)) }}`,
    'a range of a billion': '{{ range(1000000000) | length }}',
    'a range without end': '{{ range(10 ** 300) }}',
    'a list that holds itself twice, and again':
      '{% set ns = namespace(a=[1]) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}',
    'a map likewise':
      "{% set ns = namespace(a={}) %}{% for i in range(100) %}{% set ns.a = {'x': ns.a, 'y': ns.a} %}{% endfor %}{{ ns.a | tojson }}",
    'a list joined to itself':
      '{% set ns = namespace(a=[1]) %}{% for i in range(100) %}{% set ns.a = ns.a + ns.a %}{% endfor %}',
    'a list compared with itself often': `{% set ns = namespace(a=[1]) %}{% for i in range(15) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}${loop('{% if ns.a == [ns.a[0], ns.a[0]] %}x{% endif %}')}`,
    'a list nested deep': `{% set ns = namespace(a=[]) %}${loop('{% set ns.a = [ns.a] %}')}{{ ns.a }}`,
    'a long list printed often': `{% set r = range(60000) %}${loop('{{ r }}')}`,
    'a long list searched often': `{% set r = range(60000) %}${loop('{% if -1 in r %}x{% endif %}')}`,
    'a long list sorted often': `{% set r = range(60000) %}${loop('{% set x = r | sort %}')}`,
    'a long list sliced often': `{% set r = range(60000) %}${loop('{% set x = r[::-1] %}')}`,
    'a long string changed often': `${doubled(17)}${loop('{% set x = ns.s.upper() %}')}`,
    'a long string of blanks stripped often, the method stored first': `${doubled(17).replaceAll('aaaaaaaa', '        ')}{% set f = ns.s.strip %}${loop('{% set x = f() %}')}`,
    'a long string cut apart': `${doubled(18)}{{ ns.s.split('a') | length }}`,
    parentheses: `{{ ${'('.repeat(100_000)}1${')'.repeat(100_000)} }}`,
    'branches in branches': '{% if 1 %}'.repeat(9000) + '{% endif %}'.repeat(9000),
    'filters on filters': `{{ 1${'|abs'.repeat(60_000)} }}`,
    'a long template': 'x'.repeat(300_000),
    'a run of blanks': ' '.repeat(200_000),
  };
  for (const [name, template] of Object.entries(hostile)) {
    test(name, () => expect(() => renderChat(template, [], { maxSteps: 300_000 })).toThrow(CapacityError));
  }

  test('a namespace inside a namespace, and a call block that hides its arguments, are refused', () => {
    expect(() => renderChat('{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}', [])).toThrow(UnsupportedError);
    expect(() => renderChat("{% set f = 'aaa'.replace %}{% call f('a', 'b') %}{% endcall %}", [])).toThrow(
      UnsupportedError,
    );
  });

  test('the limits are those that were given', () => {
    const template = '{% for i in range(1000) %}{{ i }}{% endfor %}';
    expect(() => renderChat(template, [], { maxSteps: 1000 })).toThrow(/after 1000 steps/);
    expect(() => renderChat(template, [], { maxOutput: 100 })).toThrow(CapacityError);
    expect(renderChat(template, []).length).toBe(2890);
  });

  test('a long honest chat stays far below them', () => {
    const messages = Array.from({ length: 1000 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: 'word '.repeat(100),
    }));
    expect(renderChat(CHATML, messages, { maxSteps: 200_000 }).length).toBeGreaterThan(500_000);
  });
});

describe('where templates are found', () => {
  test('tokenizer_config: a string, a list of named ones, or none', () => {
    expect(configChatTemplate({ chat_template: 'x' })).toBe('x');
    expect(configChatTemplate({ chat_template: 'x' }, 'tool_use')).toBe(null);
    const list = [
      { name: 'default', template: 'd' },
      { name: 'tool_use', template: 't' },
    ];
    expect(configChatTemplate({ chat_template: list })).toBe('d');
    expect(configChatTemplate({ chat_template: list }, 'tool_use')).toBe('t');
    expect(configChatTemplate({ chat_template: list }, 'rag')).toBe(null);
    expect(configChatTemplate({})).toBe(null);
    expect(() => configChatTemplate({ chat_template: 5 })).toThrow(ConfigError);
    expect(() => configChatTemplate({ chat_template: [{ name: 'default' }] })).toThrow(ConfigError);
  });

  test('GGUF metadata', () => {
    const meta = new Map<string, MetaValue>([
      ['tokenizer.chat_template', 'd'],
      ['tokenizer.chat_templates', { arrayOf: 'string', values: ['tool_use'] }],
      ['tokenizer.chat_template.tool_use', 't'],
    ]);
    expect(ggufChatTemplate(meta)).toBe('d');
    expect(ggufChatTemplate(meta, 'tool_use')).toBe('t');
    expect(ggufChatTemplate(meta, 'rag')).toBe(null);
    expect(ggufChatTemplate(new Map())).toBe(null);
    expect(() => ggufChatTemplate(new Map([['tokenizer.chat_template', 7]]))).toThrow(ConfigError);
  });

  test('without one there is no chat: the error names the model and the next step', () => {
    expect(needChatTemplate('x', 'm')).toBe('x');
    expect(() => needChatTemplate(null, 'embedded')).toThrow(/embedded has no chat template.*generate --raw/);
    expect(() => needChatTemplate(null, 'embedded')).toThrow(ConfigError);
  });
});
