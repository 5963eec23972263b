import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MetaValue } from '../../src/core/metadata.ts';
import { ROOT } from './fixtures.ts';

/** Unigram vocabularies: those of test/golden/unigram.py, and the metadata of a GGUF file with one. */

export interface UnigramGolden {
  readonly name: string;
  readonly prefix: boolean;
  readonly merges: boolean;
  /** base64. */
  readonly charsmap: string;
  /** [piece, score, type] by id. */
  readonly pieces: readonly (readonly [string, number, number])[];
  readonly texts: readonly string[];
  readonly sentencePiece: readonly (readonly number[])[];
  readonly huggingFace: readonly {
    readonly style: string;
    /** tokenizer.json, but for model.vocab. */
    readonly json: { readonly model: object };
    readonly ids: readonly (readonly number[])[];
  }[];
}

export const UNIGRAM_GOLDENS = JSON.parse(
  readFileSync(join(ROOT, 'test/goldens/unigram.json'), 'utf8'),
) as readonly UnigramGolden[];

export const NORMAL = 1;
export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;
export const BYTE = 6;

export type Piece = readonly [text: string, score: number, type: number];

/** `more`: keys behind "tokenizer.ggml.", undefined for one that is missing. */
export function unigramMetadata(
  pieces: readonly Piece[],
  more: Readonly<Record<string, MetaValue | undefined>> = {},
): Map<string, MetaValue> {
  const entries: Record<string, MetaValue | undefined> = {
    model: 't5',
    pre: 'default',
    tokens: { arrayOf: 'string', values: pieces.map(([text]) => text) },
    scores: { arrayOf: 'f32', values: Float32Array.from(pieces, ([, score]) => score) },
    token_type: { arrayOf: 'i32', values: Int32Array.from(pieces, ([, , type]) => type) },
    eos_token_id: 1,
    unknown_token_id: 2,
    ...more,
  };
  const meta = new Map<string, MetaValue>();
  for (const [key, value] of Object.entries(entries)) if (value !== undefined) meta.set(`tokenizer.ggml.${key}`, value);
  return meta;
}

export const charsmapValue = (bytes: Uint8Array): MetaValue => ({ arrayOf: 'u8', values: bytes });

/** The golden as a converter would write it. */
export function goldenMetadata({ pieces, prefix, merges, charsmap }: UnigramGolden): Map<string, MetaValue> {
  return unigramMetadata(pieces, {
    add_space_prefix: prefix,
    remove_extra_whitespaces: merges,
    precompiled_charsmap: charsmapValue(new Uint8Array(Buffer.from(charsmap, 'base64'))),
  });
}
