import { ConfigError } from '../core/errors.ts';

/** The last step of encoding: one pre-token to ids, appended to `out`. */
export type SubwordModel = (word: string, out: number[]) => void;

/** The vocabulary as a model sees it. */
export interface Pieces {
  /** What text can spell: all tokens but the special ones, which only the parser of special tokens makes. */
  readonly idOf: ReadonlyMap<string, number>;
  /** All tokens, for fields that name one ("unk_token"). */
  readonly named: NamedIds;
  /** By id; undefined where an id has no token. */
  readonly textOf: readonly (string | undefined)[];
}

/** The id of a token by its text. */
export type NamedIds = Pick<ReadonlyMap<string, number>, 'get'>;

/** What a model does with text that no piece of the vocabulary covers. */
export interface Fallback {
  /** Token ids of the 256 bytes (named "<0x00>" to "<0xFF>"); null where the vocabulary lacks any of them. */
  readonly byteIds: readonly number[] | null;
  readonly unknownId: number | null;
  /** A run of unknown characters gives one unknown token, not one for each. */
  readonly fuseUnknown: boolean;
}

/** "<0x0A>": how byte tokens are written in vocabularies with byte fallback. */
export function byteTokenName(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

/** The ids of all 256 byte tokens, or null when any is missing. */
export function findByteIds(vocab: NamedIds): readonly number[] | null {
  const ids: number[] = [];
  for (let byte = 0; byte < 256; byte++) {
    const id = vocab.get(byteTokenName(byte));
    if (id === undefined) return null;
    ids.push(id);
  }
  return ids;
}

/**
 * Writes what stands for one character that is not in the vocabulary: its UTF-8 as byte tokens, else the unknown token.
 * `afterUnknown`: the character before it was unknown too. Returns whether an unknown token now ends the output.
 * Throws ConfigError where the vocabulary has neither.
 */
export function pushFallback(text: string, fallback: Fallback, afterUnknown: boolean, out: number[]): boolean {
  if (fallback.byteIds !== null) {
    for (const byte of new TextEncoder().encode(text)) out.push(fallback.byteIds[byte]!);
    return false;
  }
  if (fallback.unknownId === null) {
    throw new ConfigError(
      `tokenizer: ${JSON.stringify(text)} is not in the vocabulary, which has neither byte tokens nor an unknown token; ` +
        'remove it from the text',
    );
  }
  if (!(afterUnknown && fallback.fuseUnknown)) out.push(fallback.unknownId);
  return true;
}
