import { ShapeError } from '../core/errors.ts';

/** Throws ShapeError naming the first token id that is not in 0..vocab-1. */
export function assertIds(ids: Int32Array, vocab: number): void {
  for (let t = 0; t < ids.length; t++) {
    const id = ids[t]!;
    if (!(id >= 0 && id < vocab)) {
      throw new ShapeError(
        `token id ${id} at index ${t} is outside the vocabulary 0..${vocab - 1}; check the tokenizer or --ids`,
      );
    }
  }
}
