import type { SequenceRows } from './cache.ts';
import type { KvType } from './coded_rows.ts';

/** What a sequence has left whose pages, by rising positions, are of these types; nDropped of them are missing behind those of the sinks. */
export function sequenceRows(
  sequence: number,
  length: number,
  types: readonly KvType[],
  nBytes: number,
  { size, nSinkPages, nDropped }: { readonly size: number; readonly nSinkPages: number; readonly nDropped: number },
): SequenceRows {
  const kept = types.map((type, i) => {
    const from = (i < nSinkPages ? i : i + nDropped) * size;
    return { from, until: Math.min(from + size, length), type };
  });
  return { sequence, length, nPages: types.length, nBytes, kept };
}
