import { ConfigError } from '../core/errors.ts';

/**
 * A vocabulary whose ids are the places of its pieces, as GGUF has it: `model.vocab` of the form that gguf_vocab.ts makes. The tokenizer makes its one
 * Map of it: with 100,000 pieces each Map counts in the time that a model takes to load.
 */
export class PieceList {
  readonly pieces: readonly string[];

  constructor(pieces: readonly string[]) {
    this.pieces = pieces;
  }

  /** Ids by piece: a Map, not an object, which takes ten times as long with 100,000 keys. Throws ConfigError for a piece that comes twice. */
  ids(): Map<string, number> {
    const ids = new Map<string, number>();
    this.pieces.forEach((piece, id) => {
      ids.set(piece, id);
      if (ids.size > id) return;
      throw new ConfigError(
        `tokenizer.ggml.tokens: ${JSON.stringify(piece)} is at both ${this.pieces.indexOf(piece)} and ${id}; convert the model again`,
      );
    });
    return ids;
  }
}
