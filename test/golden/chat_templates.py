#!/usr/bin/python3
"""What Jinja itself makes of the templates in test/text/templates. Writes `expected` into each of those files; the tests do not run this.

Needs Debian 12's python3-jinja2 3.1.2. The environment is the one in which Hugging Face's transformers renders chats: sandboxed, with
trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now and a tojson that does not escape. Each template meets each of
the conversations in conversations.json that it names; what it refuses is written down with its own words.
"""
import datetime, glob, json, os, sys
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'text', 'templates')
NOW = datetime.datetime(2024, 7, 26, 9, 5, 3)


class Refused(TemplateError): pass


class Generation(Extension):
    """{% generation %}...{% endgeneration %} marks an answer for training; its body is written as it is."""
    tags = {'generation'}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(['name:endgeneration'], drop_needle=True)


def raise_exception(message): raise Refused(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=['jinja2.ext.loopcontrols', Generation])
    env.filters['tojson'] = tojson
    env.globals['raise_exception'] = raise_exception
    env.globals['strftime_now'] = lambda pattern: NOW.strftime(pattern)
    return env


def render(template, messages, tokens, tools=None, add_generation_prompt=True, variables=None):
    """{'text': ...}, {'refused': words of raise_exception} or {'fails': Jinja's own words}."""
    try:
        text = environment().from_string(template).render(
            messages=messages, tools=tools, documents=None, add_generation_prompt=add_generation_prompt, **tokens, **(variables or {}))
        return {'text': text}
    except Refused as e:
        return {'refused': str(e)}
    except Exception as e:
        return {'fails': f'{type(e).__name__}: {e}'}


def main():
    with open(os.path.join(FOLDER, 'conversations.json'), encoding='utf-8') as f: conversations = json.load(f)
    for path in sorted(glob.glob(os.path.join(FOLDER, '*.json'))):
        if os.path.basename(path) == 'conversations.json': continue
        with open(path, encoding='utf-8') as f: fixture = json.load(f)
        template = '\n'.join(fixture['template'])
        expected = {}
        for name, c in conversations.items():
            if name in fixture.get('without', []): continue
            variants = [None] + fixture.get('variables', [])
            for variables in variants:
                result = render(template, c['messages'], fixture['tokens'], c.get('tools'), c.get('addGenerationPrompt', True), variables)
                expected[name if variables is None else f'{name} {json.dumps(variables)}'] = result
        fixture['expected'] = expected
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(fixture, f, ensure_ascii=False, indent=1)
            f.write('\n')
        print(os.path.basename(path), len(expected), sum('text' in e for e in expected.values()), 'rendered')


if __name__ == '__main__': sys.exit(main())
