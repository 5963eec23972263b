import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MetaType, MetaValue } from '../../src/core/metadata.ts';
import { writeGgufHead } from '../../src/load/gguf_writer.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import {
  BYTE,
  CONTROL,
  goldenMetadata,
  NORMAL,
  type Piece,
  UNIGRAM_GOLDENS,
  UNKNOWN,
  UNUSED,
  type UnigramGolden,
  unigramMetadata,
} from '../support/unigram_cases.ts';

/**
 * Unigram vocabularies of GGUF files beside llama.cpp. The tokens are the same but where docs/decisions/0066 says that llama.cpp is not as
 * SentencePiece, which `isAsSentencePiece` keeps apart: there the stored tokens of SentencePiece decide (test/text/unigram.test.ts).
 */

interface LlamaModel {
  tokenize(text: string, specialTokens: boolean, options: 'trimLeadingSpace' | undefined): readonly number[];
  dispose(): Promise<void>;
}
interface NodeLlamaCpp {
  getLlama(o: object): Promise<{ loadModel(o: object): Promise<LlamaModel>; dispose(): Promise<void> }>;
}

let llama: Awaited<ReturnType<NodeLlamaCpp['getLlama']>>;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'glassformer-unigram-'));
  const require = createRequire(fileURLToPath(new URL('package.json', import.meta.url)));
  const { getLlama } = (await import(pathToFileURL(require.resolve('node-llama-cpp')).href)) as NodeLlamaCpp;
  // It looks for a model in the file first, and says that there is none.
  llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'disabled', maxThreads: 1 });
});
afterAll(async () => {
  await llama.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const N_TEXTS = 2000;

/** Letters and words that the vocabularies have, keys of their tables and parts of them, spaces, names of tokens, any character. */
function textsFor({ texts }: UnigramGolden): string[] {
  const part = fc.oneof(
    fc.constantFrom(...texts.filter((text) => text !== '')),
    fc.constantFrom(
      ...'abcdefgh .,;019',
      ' ',
      '  ',
      '\t',
      '\r\n',
      '▁',
      '\u00a0',
      '\u200b',
      '\u0001',
      '\0',
      '<',
      '</s>',
      '<unk>',
    ),
    fc.constantFrom(
      'the',
      ' fox',
      'über',
      'e\u0301',
      '\u1100\u1161',
      '\u11a8',
      '\uff76',
      '\uff9e',
      '\ufdfa',
      '\u{1d400}',
      '´',
      '👍',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
  );
  const text = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(''));
  return fc.sample(text, { seed: 66, numRuns: N_TEXTS });
}

/** Whether llama.cpp is asked about a text: what it does as SentencePiece does, and the binding can hand over (no NUL in it). */
function isAsSentencePiece(text: string, { name, prefix, merges }: UnigramGolden, ids: readonly number[]): boolean {
  if (text.includes('\0')) return false;
  if (name === 'byte fallback') return !ids.some((id) => id >= 3 && id < 3 + 256); // bytes, where llama.cpp has the unknown token
  if (prefix && !merges) return text.split('').some((char) => !BLANKS.includes(char));
  return true;
}

/** What the tables of the stored vocabularies make spaces of, or nothing. */
const BLANKS = ' \t\n\r\u00a0\u3000▁\u200b\u0001';

/** A vocabulary without a model. */
async function witness(name: string, vocabulary: ReadonlyMap<string, MetaValue>): Promise<LlamaModel> {
  const modelPath = join(folder, `${name}.gguf`);
  const metadata: [string, MetaType, MetaValue][] = [
    ['general.architecture', 'string', 't5'],
    ...[...vocabulary].map(([key, value]): [string, MetaType, MetaValue] => [key, typeOf(value), value]),
  ];
  writeFileSync(modelPath, writeGgufHead({ metadata, tensors: [] }));
  return llama.loadModel({ modelPath, vocabOnly: true });
}

function typeOf(value: MetaValue): MetaType {
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value === 'string' ? 'string' : 'bool';
  return typeof value === 'number' ? 'u32' : 'array';
}

describe.each(UNIGRAM_GOLDENS.filter(({ prefix, merges }) => prefix || !merges))('$name', (golden) => {
  test('the tokens of llama.cpp', async () => {
    const tokenizer = createTokenizer(ggufVocab(goldenMetadata(golden)));
    const model = await witness(golden.name, goldenMetadata(golden));
    let nCompared = 0;
    for (const text of textsFor(golden)) {
      const ids = tokenizer.encode(text, { addSpecial: false });
      if (!isAsSentencePiece(text, golden, ids)) continue;
      nCompared++;
      expect(ids, JSON.stringify(text)).toEqual(Array.from(model.tokenize(text, false, undefined)));
    }
    await model.dispose();
    process.stdout.write(`${golden.name}: ${nCompared} of ${N_TEXTS} texts compared\n`);
    expect(nCompared).toBeGreaterThan(golden.name === 'byte fallback' ? 100 : 1000);
  });
});

test('a file that says nothing of spaces', async () => {
  const golden = UNIGRAM_GOLDENS[0]!;
  const silent = unigramMetadata(golden.pieces);
  const tokenizer = createTokenizer(ggufVocab(silent));
  const model = await witness('silent', silent);
  for (const text of ['the fox', ' the  fox ', '', ' ', 'a\tb']) {
    expect(tokenizer.encode(text, { addSpecial: false })).toEqual(Array.from(model.tokenize(text, false, undefined)));
  }
  await model.dispose();
});

describe('what is as in SentencePiece and not as in llama.cpp', () => {
  const special: readonly Piece[] = [
    ['<pad>', 0, CONTROL],
    ['</s>', 0, CONTROL],
    ['<unk>', 0, UNKNOWN],
    ['▁', -2, NORMAL],
    ['a', -1, NORMAL],
    ['▁a', -2, NORMAL],
  ];
  const bytes = Array.from({ length: 256 }, (_, byte): Piece => {
    return [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, 0, BYTE];
  });
  const cases: [string, string, readonly Piece[], Record<string, MetaValue>, number[], number[]][] = [
    ['bytes', 'aé', [...special, ...bytes], {}, [5, 6 + 0xc3, 6 + 0xa9], [5, 2]],
    ['unused tokens', 'aa', [...special, ['▁aa', 0, UNUSED]], {}, [5, 4], [6]],
    ['no prefix', 'a a', special, { add_space_prefix: false, remove_extra_whitespaces: true }, [4, 5], [5, 5]],
    ['spaces alone', ' ', special, { remove_extra_whitespaces: false }, [3, 3], [3]],
    ['marks at the end', 'a▁', special, { remove_extra_whitespaces: true }, [5], [5, 3]],
  ];
  test.each(cases)('%s', async (name, text, pieces, keys, ours, theirs) => {
    const metadata = unigramMetadata(pieces, { add_space_prefix: true, remove_extra_whitespaces: true, ...keys });
    expect(createTokenizer(ggufVocab(metadata)).encode(text, { addSpecial: false })).toEqual(ours);
    const model = await witness(name, metadata);
    expect(Array.from(model.tokenize(text, false, undefined))).toEqual(theirs);
    await model.dispose();
  });
});
