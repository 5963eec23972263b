import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, FormatError, UnsupportedError } from '../../../src/core/errors.ts';
import { parseGbnf } from '../../../src/sample/grammar/gbnf.ts';
import { MAX_GRAMMAR_CHARACTERS } from '../../../src/sample/grammar/grammar_text.ts';
import { MAX_DEPTH } from '../../../src/sample/grammar/network_checks.ts';
import { type GrammarMasks, grammarMasks } from '../../../src/sample/grammar/token_masks.ts';
import { tokenTrie } from '../../../src/sample/grammar/token_trie.ts';
import { ROOT } from '../../support/fixtures.ts';

/** Every byte is a token. */
const bytesOf = (id: number): Uint8Array => Uint8Array.of(id);
const VOCABULARY = { trie: tokenTrie(256, bytesOf), bytesOf };
const masksOf = (grammar: string): GrammarMasks => grammarMasks(parseGbnf(grammar), VOCABULARY);
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const JSON_TEXT = String.raw`
# JSON, RFC 8259
root   ::= space value
value  ::= (object | array | string | number | "true" | "false" | "null") space
object ::= "{" space (pair ("," space pair)*)? "}"
pair   ::= string space ":" space value
array  ::= "[" space (value ("," space value)*)? "]"
string ::= "\"" ([^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\""
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
space  ::= [ \t\r\n]*
`;
const ARITHMETIC = String.raw`
root    ::= (sum "=" space number "\n")+
sum     ::= product ([-+] space product)*
product ::= factor ([*/] space factor)*
factor  ::= number | name | "(" space sum ")" space
name    ::= [a-z] [a-z0-9_]* space
number  ::= [0-9]+ space
space   ::= [ \t]*
`;
const LIST = String.raw`
root ::= item+
item ::= "- " [^\r\n\x0b\x0c\x85\u2028\u2029]{1,40} "\n"   # one line
`;
const CHESS = String.raw`
root   ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")*
move   ::= (piece | pawn | castle) [+#]?
piece  ::= [NBRQK] [a-h]? [1-8]? "x"? square
pawn   ::= ([a-h] "x")? square ("=" [NBRQ])?
castle ::= "O-O" "-O"?
square ::= [a-h] [1-8]
`;
const JAPANESE = String.raw`
root     ::= word ([ \t\n] word)*
word     ::= hiragana+ | katakana+
hiragana ::= [ぁ-ゟ]
katakana ::= [ァ-ヿ]
`;
const RECURSIVE_LIST = 'root ::= "x" | "x," root';

describe('grammars that people write', () => {
  test.each([
    [
      'JSON',
      JSON_TEXT,
      ['{"a" : [1, -2.5e+3, {"b": null}], "é😀\\u00e9": ""}', ' [ ]', '0'],
      ['{"a"}', '01', '[1,]', '"\n"', '"\\x"', '{', ''],
    ],
    ['arithmetic', ARITHMETIC, ['1+2*(a_1 - 3)=4\n', 'x=0\ny / z = 1\n'], ['1+=2\n', '1=2', '(1=2)\n', '1=a\n']],
    [
      'a list',
      LIST,
      ['- one\n- zwei, drei\n', '- é\n'],
      ['- \n', 'one\n', `- ${'x'.repeat(41)}\n`, '- a\u2028b\n', '- a\x85\n'],
    ],
    [
      'chess',
      CHESS,
      ['1. e4 e5\n2. Nf3 Nc6\n', '1. O-O-O exd8=Q+\n'],
      ['1. e4\n', '1. e9 e5\n', '2. e4 e5\n', '1. O-O- e5\n'],
    ],
    ['Japanese', JAPANESE, ['ひらがな カタカナ', 'を'], ['ひカ', 'a', 'ひ ', '']],
    ['a recursive list', RECURSIVE_LIST, ['x', 'x,x', `x${',x'.repeat(5000)}`], ['x,', '']],
    ['nothing or a', 'root ::= "a" |', ['a', ''], ['aa']],
    ['escapes', String.raw`root ::= "\n\r\t\\\"\[\]\x41\u00e9\U0001F600"`, ['\n\r\t\\"[]Aé😀'], ['']],
    ['a class with a dash at its end, a bracket, a caret', String.raw`root ::= [a\]^-]+`, ['a]^-'], ['b', '\\']],
    ['any character', 'root ::= . .', ['é😀', '\n\0'], ['a', 'abc']],
    [
      'counts',
      'root ::= "a"{2} "b"{1,} ("cd"){0,2} "e"{ 1 , 2 } "f"{0}',
      ['aabe', 'aabbbcdcdee'],
      ['abe', 'aae', 'aabcdcdcde', 'aabef'],
    ],
    ['lines inside groups and after |', 'root ::=\n  "a" (\n "b" # b\n | "c" )\n  "d"', [], []],
    [
      'two rules, comments, Windows lines',
      '\ufeff# c\r\nroot ::= a |\r\n  "x"\r\na ::= "y" # d\r\n',
      ['x', 'y'],
      ['xy'],
    ],
  ])('%s', (name, grammar, texts, others) => {
    if (name.startsWith('lines')) {
      expect(() => masksOf(grammar)).toThrow('line 5, column 3: a rule must begin here with its name, found "\\""');
      return;
    }
    const masks = masksOf(grammar);
    for (const text of texts) expect([text, masks.accepts(utf8(text))]).toEqual([text, true]);
    for (const text of others) expect([text, masks.accepts(utf8(text))]).toEqual([text, false]);
  });
});

test('the grammar of docs/structured.md', () => {
  const guide = readFileSync(join(ROOT, 'docs', 'structured.md'), 'utf8');
  const masks = masksOf(/```text\n(root [^`]*)```/.exec(guide)![1]!);
  expect(masks.accepts(utf8('1 + 2*-3=-5\n7=7\n'))).toBe(true);
  expect(masks.accepts(utf8('1+=2\n'))).toBe(false);
});

describe('what is no grammar is refused, with its place', () => {
  test.each([
    ['', 'line 1, column 1: there is no rule root, whose texts are wanted; add root ::= ...'],
    ['a ::= "x"\n', 'line 2, column 1: there is no rule root'],
    ['root = "x"', 'line 1, column 6: expected ::= after the name root, found "="'],
    ['root ::= "x', 'line 1, column 10: this literal has no end; close it'],
    ['root ::= [a', 'line 1, column 10: this class has no end; close it'],
    ['root ::= []', 'line 1, column 10: this class has no characters'],
    ['root ::= [z-a]', 'line 1, column 11: this range runs backwards'],
    ['root ::= ("a"', 'line 1, column 10: this group has no end; close it with )'],
    ['root ::= ("a" ]', 'line 1, column 15: expected ) or more of the group, found "]"'],
    ['root ::= "a" )', 'line 1, column 14: expected the end of rule root, found ")"'],
    ['root ::= é', 'line 1, column 10: expected the end of rule root, found "é"'],
    ['root ::= * "a"', 'line 1, column 10: there is nothing before this to be repeated'],
    ['root ::= "a"+*', 'line 1, column 14: this is repeated already; put ( ) around it'],
    ['root ::= "a"{', 'line 1, column 14: expected a count, found the end of the text'],
    ['root ::= "a"{2,1}', 'line 1, column 13: {2,1}: the second count is below the first'],
    ['root ::= "a"{1;2}', 'line 1, column 15: expected } after the counts, found ";"'],
    ['root ::= "a"{1000000}', 'line 1, column 13: more than 100000 repetitions'],
    ['root ::= "\\q"', 'line 1, column 11: unknown escape \\q; those there are: \\n \\r'],
    ['root ::= "\\x4"', 'line 1, column 11: \\x needs 2 hexadecimal digits'],
    ['root ::= "\\ud800"', 'line 1, column 11: U+D800 is no character'],
    ['root ::= "\\U00110000"', 'line 1, column 11: U+110000 is no character'],
    ['root ::= "é" é', 'line 1, column 14: expected the end of rule root, found "é" (at byte 14)'],
    ['# é\nroot ::= item\n', 'line 2, column 10: rule item is not defined; add item ::= ... (at byte 14)'],
    ['root ::= "a"\nroot ::= "b"', 'line 2, column 1: rule root is defined twice'],
    [
      'root ::= "a"\n  | "b"',
      'line 2, column 3: a rule must begin here with its name, found "|"; a rule ends with its line',
    ],
  ])('%j', (grammar, message) => {
    expect(() => parseGbnf(grammar)).toThrow(FormatError);
    expect(() => parseGbnf(grammar)).toThrow(`grammar: ${message}`);
  });

  test('tokens by name are not supported', () => {
    expect(() => parseGbnf('root ::= <think> "a"')).toThrow(UnsupportedError);
    expect(() => parseGbnf('root ::= <think> "a"')).toThrow('grammar: line 1, column 10: tokens by name or id (<...>)');
  });

  test.each([
    ['root ::= root "a" | "b"', 'root -> root'],
    ['root ::= a "x"\na ::= b\nb ::= "y" | a', 'a -> b -> a'],
    ['root ::= space root "a" | "b"\nspace ::= " "*', 'root -> root'],
    ['root ::= (root "a"){2} | "b"', 'root -> root'],
    ['root ::= "x"\nunused ::= unused', 'unused -> unused'],
  ])('left recursion: %j', (grammar, path) => {
    expect(() => masksOf(grammar)).toThrow(ConfigError);
    expect(() => masksOf(grammar)).toThrow(`grammar: left recursion, ${path}: the rule begins with itself`);
  });

  test('a grammar without a text', () => {
    expect(() => masksOf('root ::= "a" root')).toThrow(ConfigError);
    expect(() => masksOf('root ::= "a" root')).toThrow(
      'grammar: root has no text at all; give it an alternative that ends',
    );
    expect(masksOf('root ::= "a" loop | "b"\nloop ::= "x" loop').accepts(utf8('b'))).toBe(true);
  });

  test('an alternative that never ends is not begun', () => {
    const text = masksOf('root ::= "a" loop | "b"\nloop ::= "x" loop').begin({ endIds: [] });
    expect([...text.mask().bits].map((w) => w >>> 0)).toEqual([0, 0, 0, 2 ** 2, 0, 0, 0, 0]); // b alone
  });
});

describe('grammars made to be heavy end, in time and in memory', () => {
  test.each([
    ['a long text', `root ::= "${'a'.repeat(MAX_GRAMMAR_CHARACTERS)}"`, 'characters, at most'],
    ['groups inside groups', `root ::= ${'('.repeat(200_000)}`, 'more than 100 groups inside each other'],
    [
      'counts of counts',
      'root ::= ((((("a" "b"){99999}){99999}){99999}){99999}){99999}',
      'more than 400000 nodes, the last in rule root',
    ],
    [
      'more calls than are entered',
      `root ::= r0\n${Array.from({ length: MAX_DEPTH + 1 }, (_, i) => `r${i} ::= r${i + 1} "a"`).join('\n')}\nr${MAX_DEPTH + 1} ::= "b"`,
      'nests deeper than 512 calls',
    ],
    [
      'thousands of alternatives that begin alike',
      `root ::= ${Array.from({ length: 5000 }, (_, i) => `"a${i}"`).join(' | ')}`,
      'too ambiguous, more than 4096 places in one text',
    ],
  ])('%s', (_, grammar, message) => {
    expect(() => masksOf(grammar)).toThrow(message);
    expect(() => masksOf(grammar)).toThrow(message.includes('512') ? ConfigError : CapacityError);
  });

  test('readings that double with each character, or with each rule, are read together', () => {
    const text = masksOf('root ::= "a" root "b" | "a" root [bc] | "a"').begin({ endIds: [] });
    for (let i = 0; i < 400; i++) text.accept(0x61);
    for (let i = 1; i < 400; i++) text.accept(i % 2 === 0 ? 0x62 : 0x63);
    expect(text.mayEnd).toBe(true);
    const rules = Array.from({ length: 40 }, (_, i) => `r${i} ::= r${i + 1} "a" | r${i + 1} [ab]`);
    const masks = masksOf(`root ::= r0\n${rules.join('\n')}\nr40 ::= "c"`);
    expect(masks.accepts(utf8(`c${'ab'.repeat(20)}`))).toBe(true);
    expect(masks.accepts(utf8(`c${'ab'.repeat(19)}a`))).toBe(false);
  });

  test('loops of nothing end', () => {
    const masks = masksOf('root ::= ((("a"?)*)* (("b"*)?){3})* "c"');
    expect(masks.accepts(utf8('abbaac'))).toBe(true);
    expect(masks.accepts(utf8('abd'))).toBe(false);
  });

  test('at the deepest nesting only what still can be closed is allowed', () => {
    const masks = masksOf('root ::= "(" root ")" | "[" "x" ("y" ("z" root)?)? "]" | "x"');
    const text = masks.begin({ endIds: [] });
    let depth = 0;
    const isAllowed = (c: string): boolean =>
      ((text.mask().bits[c.charCodeAt(0) >> 5]! >>> (c.charCodeAt(0) & 31)) & 1) === 1;
    for (; isAllowed('('); depth++) text.accept(0x28);
    expect(depth).toBeGreaterThan(MAX_DEPTH / 2);
    expect(depth).toBeLessThanOrEqual(MAX_DEPTH + 1);
    text.accept(0x78);
    for (; depth > 0; depth--) text.accept(0x29);
    expect(text.mustEnd).toBe(true);
  });
});
