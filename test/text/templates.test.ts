import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { type ChatMessage, renderChat } from '../../src/text/chat_template.ts';

// The formats of well-known models, each met by conversations of every kind. What is expected was written by Jinja itself:
// test/golden/chat_templates.py.

interface Talk {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly object[];
  readonly addGenerationPrompt?: boolean;
}

/** What Jinja made of it: a text, the words of raise_exception, or an error of its own. */
type Expected = { readonly text: string } | { readonly refused: string } | { readonly fails: string };

interface Fixture {
  readonly models: string;
  /** Which part of the model's template it is; all of it where there is none. */
  readonly part?: string;
  readonly tokens: { readonly bos_token: string; readonly eos_token: string };
  /** Each conversation is also rendered with each of these. */
  readonly variables?: readonly Readonly<Record<string, unknown>>[];
  /** Lines. */
  readonly template: readonly string[];
  readonly expected: Readonly<Record<string, Expected>>;
}

const FOLDER = new URL('templates/', import.meta.url);
const TALKS_FILE = 'conversations.json';
const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as T;

const TALKS = read<Record<string, Talk>>(TALKS_FILE);
const FIXTURES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json') && name !== TALKS_FILE)
  .map((name) => ({ name: name.replace('.json', ''), ...read<Fixture>(name) }));
const NOW = new Date('2024-07-26T09:05:03Z'); // as in the script

type Variables = Readonly<Record<string, unknown>> | undefined;

/** What we make of it, in the same form; an error that is not the template's own counts as `fails`. */
function outcome({ template, tokens }: Fixture, talk: Talk, variables: Variables): Expected {
  const { messages, tools, addGenerationPrompt = true } = talk;
  try {
    const options = { bosToken: tokens.bos_token, eosToken: tokens.eos_token, tools, addGenerationPrompt, now: NOW };
    return { text: renderChat(template.join('\n'), messages, { ...options, ...(variables && { variables }) }) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const words = /^chat template refuses these messages: (.*)$/s.exec(error.message)?.[1];
    return words === undefined ? { fails: error.message } : { refused: words };
  }
}

describe('each template is rendered as Jinja does', () => {
  for (const fixture of FIXTURES) {
    test(`${fixture.name}: ${fixture.models}`, () => {
      const seen = new Set<string>();
      for (const [name, talk] of Object.entries(TALKS)) {
        for (const variables of [undefined, ...(fixture.variables ?? [])]) {
          const key = Object.keys(fixture.expected).find((k) => k === keyOf(name, variables));
          expect(key, `${name}: run test/golden/chat_templates.py`).toBeDefined();
          seen.add(key!);
          const expected = fixture.expected[key!]!;
          const got = outcome(fixture, talk, variables);
          // The words of other errors are Python's there and ours here.
          if ('fails' in expected) expect(got, key).toEqual({ fails: expect.stringMatching(/^chat template/) });
          else expect(got, key).toEqual(expected);
        }
      }
      expect([...seen].sort()).toEqual(Object.keys(fixture.expected).sort());
    });
  }

  test('and there are enough of them, of every outcome', () => {
    const all = FIXTURES.flatMap(({ expected }) => Object.values(expected));
    const count = (field: string): number => all.filter((e) => field in e).length;
    expect(FIXTURES.length).toBeGreaterThanOrEqual(30);
    expect(Math.min(count('text') / 300, count('refused') / 20, count('fails') / 20)).toBeGreaterThanOrEqual(1);
  });

  test('a renderer that trims blocks otherwise, or prints as JavaScript does, is caught', () => {
    const differs = (change: (template: string) => string): number =>
      FIXTURES.filter((fixture) => {
        const changed = { ...fixture, template: [change(fixture.template.join('\n'))] };
        return Object.entries(TALKS).some(([name, talk]) => {
          const expected = fixture.expected[name]!;
          const got = outcome(changed, talk, undefined);
          return 'text' in expected && !('text' in got && got.text === expected.text);
        });
      }).length;
    expect(differs((template) => template.replaceAll('%}\n', '%}\n\n'))).toBeGreaterThan(3);
    expect(differs((template) => template.replaceAll('tool | string', 'tool | tojson'))).toBeGreaterThan(0);
  });
});

/** The key that the script writes: json.dumps puts blanks behind commas and colons. */
function keyOf(name: string, variables: Variables): string {
  if (variables === undefined) return name;
  return `${name} ${renderChat('{{ v | tojson }}', [], { variables: { v: variables } })}`;
}
