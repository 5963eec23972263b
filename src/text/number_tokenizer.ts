import { ConfigError } from '../core/errors.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * In place of a vocabulary that a model came without: ids in, ids out. The text of a token is a space and its number, so that
 * `decode([5, 0, 12])` is "5 0 12"; a text has no tokens.
 *
 * name: the model, for messages. vocab: its number of ids. encode throws ConfigError, and so does an id outside the vocabulary.
 */
export function createNumberTokenizer(name: string, vocab: number, eosIds: readonly number[]): Tokenizer {
  function checked(id: number): number {
    if (hasId(id)) return id;
    throw new ConfigError(`token id ${id} is not in the vocabulary, which has ${vocab} ids from 0`);
  }
  const hasId = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < vocab;
  return {
    vocabSize: vocab,
    bosId: null,
    eosIds: new Set(eosIds),
    addBos: false,
    dropsLeadingSpace: true,
    encode() {
      throw new ConfigError(
        `${name}: has no tokenizer.json, so a text has no tokens; give ids (--ids 1,2,3), put the model's tokenizer.json into its folder, or use a GGUF file`,
      );
    },
    decode: (ids) => ids.map(checked).join(' '),
    piece: (id) => String(checked(id)),
    bytes: (id) => new TextEncoder().encode(` ${checked(id)}`),
    isSpecial: () => false,
    hasId,
  };
}
