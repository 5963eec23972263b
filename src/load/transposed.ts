import { DTYPES } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { READ_CHUNK_BYTES } from '../core/host.ts';
import { showShape } from '../core/shape.ts';
import { derived, elementType } from './derived_tensors.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';
import { forEachRows } from './weights.ts';

/** A read below this looks at a tensor and does not load it: nothing is kept for the next one. */
const LOADING_BYTES = 1 << 14;

/** Rows of the source that are read at a time. */
const STRIP_BYTES = 1 << 20;

/**
 * [nIn, nOut] -> [nOut, nIn]: what matrices are that multiply from the right, as in GPT-2's files.
 *
 * Any part of a row of the result lies all over the source. Who loads the tensor reads it from start to end in small pieces,
 * and the source would be read as often: so a band of up to bandBytes is made at once and kept until its end was read.
 * Throws ShapeError unless it has two axes, UnsupportedError for formats whose blocks are more than one element.
 */
export function transposed(info: TensorInfo, bandBytes = READ_CHUNK_BYTES): TensorInfo {
  const size = DTYPES[elementType(info)].blockBytes;
  const [nIn, nOut] = info.shape;
  if (info.shape.length !== 2 || nIn === undefined || nOut === undefined) {
    throw new ShapeError(`tensor ${quote(info.name)} ${showShape(info.shape)} has to have two axes to be transposed`);
  }
  const rowBytes = nIn * size;
  const bandLength = Math.max(1, Math.floor(bandBytes / rowBytes)) * rowBytes;

  /** The bytes of whole rows first .. first + n - 1 of the result. */
  const makeRows = async (first: number, n: number): Promise<Uint8Array> => {
    const rows = new Uint8Array(n * rowBytes);
    await forEachRows(
      info,
      (strip, firstIn, nHere) => {
        for (let i = 0; i < nHere; i++) {
          for (let row = 0; row < n; row++) {
            const from = (i * nOut + first + row) * size;
            const to = row * rowBytes + (firstIn + i) * size;
            for (let byte = 0; byte < size; byte++) rows[to + byte] = strip[from + byte]!;
          }
        }
      },
      { chunkBytes: STRIP_BYTES },
    );
    return rows;
  };
  const makeBytes = async (at: number, end: number): Promise<Uint8Array> => {
    const first = Math.floor(at / rowBytes);
    return makeRows(first, Math.ceil(end / rowBytes) - first);
  };

  let band: { readonly start: number; readonly bytes: Promise<Uint8Array> } | undefined;
  const bandAt = async (start: number): Promise<Uint8Array> => {
    if (band?.start !== start) band = { start, bytes: makeBytes(start, Math.min(start + bandLength, info.nBytes)) };
    const mine = band;
    try {
      return await mine.bytes;
    } catch (error) {
      if (band === mine) band = undefined;
      throw error;
    }
  };

  return derived(info, info.type, [nOut, nIn], info.nBytes, async (at, into) => {
    if (into.length < LOADING_BYTES) {
      const start = Math.floor(at / rowBytes) * rowBytes;
      into.set((await makeBytes(at, at + into.length)).subarray(at - start, at - start + into.length));
      return;
    }
    for (let done = 0; done < into.length; ) {
      const start = Math.floor((at + done) / bandLength) * bandLength;
      const bytes = await bandAt(start);
      const n = Math.min(into.length - done, start + bytes.length - at - done);
      into.set(bytes.subarray(at + done - start, at + done - start + n), done);
      done += n;
      if (at + done === start + bytes.length && band?.start === start) band = undefined;
    }
  });
}
