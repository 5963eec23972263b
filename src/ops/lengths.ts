import { ShapeError } from '../core/errors.ts';

/** Throws ShapeError naming the first row that would see fewer than 0 or more than the nPositions cached positions. */
export function assertLengths(lengths: Int32Array, nPositions: number): void {
  for (let t = 0; t < lengths.length; t++) {
    const n = lengths[t]!;
    if (!(n >= 0 && n <= nPositions)) {
      throw new ShapeError(`attend: row ${t} sees ${n} positions, the cache holds ${nPositions}`);
    }
  }
}
