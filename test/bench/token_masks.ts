/**
 * What a mask of a grammar costs in processor time, for a vocabulary of 152,000 random tokens: npx tsx test/bench/token_masks.ts
 *
 * Tokens are like those of large vocabularies: all bytes, then words of a to z with a usual length, most behind a space.
 */
import { parseGbnf } from '../../src/sample/grammar/gbnf.ts';
import { type GrammarMasks, grammarMasks } from '../../src/sample/grammar/token_masks.ts';
import { tokenTrie } from '../../src/sample/grammar/token_trie.ts';
import { schemaGrammar } from '../../src/sample/schema/schema.ts';
import { randomNumbers } from '../support/tiny_llama.ts';

const VOCAB = 152_000;
const REPEATS = 9;

const random = randomNumbers(1);
const TOKENS = Array.from({ length: VOCAB }, (_, id) => {
  if (id < 256) return Uint8Array.of(id);
  const length = 1 + Math.floor(-Math.log(1 - random()) * 6);
  return Uint8Array.from({ length }, (_, i) =>
    i === 0 && random() < 0.6 ? 0x20 : 0x61 + Math.floor(random() * random() * 26),
  );
});
const bytesOf = (id: number): Uint8Array => TOKENS[id]!;

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    short: { type: 'string', maxLength: 200 },
    age: { type: 'integer' },
    tags: { items: { type: 'string' } },
  },
  required: ['name', 'short', 'age', 'tags'],
};
const MOVES = 'root ::= ([1-9] [0-9]? ". " [NBRQK]? [a-h]? "x"? [a-h] [1-8] [+#]? " ")+';

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Of all processors together, the collector of garbage included: other programs on the machine do not count. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const enc = new TextEncoder();
let trie = tokenTrie(1, bytesOf);
const trieMs = median(
  Array.from({ length: 3 }, () =>
    cpuMs(() => {
      trie = tokenTrie(VOCAB, bytesOf);
    }),
  ),
);
console.log(`trie: ${trie.nNodes} nodes, ${trieMs.toFixed(0)} ms, once for each model`);

const ways: [string, () => GrammarMasks, string[]][] = [
  [
    'schema',
    () => grammarMasks(schemaGrammar(SCHEMA), { trie, bytesOf }),
    ['', '{', '{"name":', '{"name":"Tom', '{"name":"","short":"ab', '{"name":"","short":"","age":1'],
  ],
  ['moves', () => grammarMasks(parseGbnf(MOVES), { trie, bytesOf }), ['', '1. N']],
];
for (const [name, make, prefixes] of ways) {
  for (const prefix of prefixes) {
    const times: number[] = [];
    let nAllowed = 0;
    let bytesInUse = 0;
    let againMs = 0;
    for (let i = 0; i < REPEATS; i++) {
      const masks = make();
      const text = masks.begin({ endIds: [] });
      for (const byte of enc.encode(prefix)) text.accept(byte);
      times.push(cpuMs(() => text.mask()));
      againMs = cpuMs(() => text.mask());
      nAllowed = text.mask().bits.reduce((n, word) => n + word.toString(2).replaceAll('0', '').length, 0);
      bytesInUse = masks.bytesInUse;
    }
    console.log(
      `${name} ${JSON.stringify(prefix)}: ${nAllowed} tokens allowed, ${median(times).toFixed(2)} ms, again ${againMs.toFixed(3)} ms, ${(bytesInUse / 1024).toFixed(0)} KiB remembered`,
    );
  }
}

// A long text: what each step costs when most states have been seen, and what is remembered at its end.
const masks = grammarMasks(schemaGrammar({ items: SCHEMA }), { trie, bytesOf });
const text = masks.begin({ endIds: [] });
const steps: number[] = [];
const one = (i: number): string => `{"name":"Tom ${i}","short":"a dog ${i}","age":${i},"tags":["x","y${i}"]}`;
for (const byte of enc.encode(`[${Array.from({ length: 40 }, (_, i) => one(i)).join(', ')}]`)) {
  steps.push(cpuMs(() => text.mask()));
  text.accept(byte);
}
const total = steps.reduce((sum, ms) => sum + ms, 0);
console.log(
  `a list of 40 objects: ${steps.length} steps, mean ${(total / steps.length).toFixed(3)} ms, median ${median(steps).toFixed(3)} ms, longest ${steps.at(-1)!.toFixed(1)} ms, ${(masks.bytesInUse / 1024).toFixed(0)} KiB remembered`,
);
