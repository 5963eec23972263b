import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bufferSource } from '../../src/core/host.ts';
import type { Metadata } from '../../src/core/metadata.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { fixture, ROOT, readFixtureJson } from '../support/fixtures.ts';

/** Metadata of a GGUF file on disk. */
export async function readMetadata(path: string): Promise<Metadata> {
  const file = await openGguf(bufferSource(path, readFileSync(path)));
  await file.close();
  return file.metadata;
}

export async function ggufTokenizer(path: string): Promise<Tokenizer> {
  return createTokenizer(ggufVocab(await readMetadata(path)));
}

/** The tokenizer of a Hugging Face folder among the fixtures. */
export function folderTokenizer(folder: string): Tokenizer {
  return createTokenizer({
    tokenizerJson: readFixtureJson<object>(folder, 'tokenizer.json'),
    tokenizerConfig: readFixtureJson<object>(folder, 'tokenizer_config.json'),
  });
}

/** The project's own model: always there. */
export const EMBEDDED_MODEL = join(ROOT, 'src', 'embedded', 'lm', 'model.gguf');

/** Stretches of a corpus that begin anywhere, also inside words, with a fixed step so that runs repeat. */
export function corpusExcerpts(name: string, count: number, length: number): string[] {
  const chars = [...readFileSync(fixture('corpora', name), 'utf8')];
  const step = Math.floor((chars.length - length) / count);
  return Array.from({ length: count }, (_, i) => chars.slice(i * step, i * step + length).join(''));
}

/** Texts on which tokenizers go wrong: spaces, line ends, digits, scripts, marks, emoji, lone and joined. */
export const HARD_TEXTS: readonly string[] = [
  '',
  ' ',
  '  ',
  '   a',
  'a   ',
  ' a  b   c ',
  '\n',
  '\n\n\n a\r\n\tb',
  '\t\t x',
  "I'm sure they've said it's 'fine', we'll see; DON'T",
  '1234567890 3.14 12,345',
  'x=y+1;if(a&&b){return"c"}',
  'Café naïve über Ångström',
  'Cafe\u0301 e\u0301\u0302',
  'Привет, как дела?',
  '你好，世界。漢字かな交じり文 한국어',
  'مرحبا بالعالم',
  '👩‍👩‍👧‍👦🇩🇪 🏳️‍🌈 ❤️',
  '\u00a0\u2003\u3000\u200b\ufeff\u0085',
  'ΟΔΥΣΣΕΥΣ ΤΕΛΟΣ',
  '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{10ffff}',
  '<|endoftext|> <s> </s> <unk> <0x41> [CLS] ##ing',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  '________------======',
  '\u0000\u0001\u007f',
];
