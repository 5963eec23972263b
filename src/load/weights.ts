import { DTYPES, type DType } from '../core/dtype.ts';
import { assert, UnsupportedError } from '../core/errors.ts';
import { READ_CHUNK_BYTES } from '../core/host.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';

export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** What is being read: a tensor's name. */
  readonly what: string;
}

export type OnProgress = (progress: Progress) => void;

export interface ReadOptions {
  /** Looked at before each chunk; the read throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each chunk. */
  readonly onProgress?: OnProgress | undefined;
  /** Bytes read at a time, by default READ_CHUNK_BYTES. */
  readonly chunkBytes?: number | undefined;
}

/**
 * The tensor's format, if the engine can compute with it.
 * Throws UnsupportedError that names the tensor and its type.
 */
export function dtypeOf(info: TensorInfo): DType {
  if (Object.hasOwn(DTYPES, info.type)) return info.type as DType;
  throw new UnsupportedError(
    `${info.source.name}: tensor ${quote(info.name)} is ${info.type}, this engine runs ${Object.keys(DTYPES).join(', ')}; get the model in one of these`,
  );
}

/**
 * Fills `into` with the tensor's bytes from `from` on, nothing converted. `into` may be a view of shared or of WebAssembly
 * memory; that memory must not grow meanwhile, which would detach the view.
 *
 * Throws FormatError when the file shrank, and the signal's reason when it was aborted; `into` is then half filled.
 */
export async function readTensorBytes(
  info: TensorInfo,
  from: number,
  into: Uint8Array,
  options: ReadOptions = {},
): Promise<void> {
  const { signal, onProgress, chunkBytes = READ_CHUNK_BYTES } = options;
  const totalBytes = into.byteLength;
  assert(
    from >= 0 && from + totalBytes <= info.nBytes,
    `bytes ${from} to ${from + totalBytes} lie in ${quote(info.name)}, which has ${info.nBytes}`,
  );
  assert(chunkBytes > 0, 'a chunk has bytes');
  signal?.throwIfAborted();
  for (let done = 0; done < totalBytes; ) {
    const end = Math.min(done + chunkBytes, totalBytes);
    await info.source.read(info.offset + from + done, into.subarray(done, end));
    signal?.throwIfAborted();
    done = end;
    onProgress?.({ doneBytes: done, totalBytes, what: info.name });
  }
}

/** Bytes of one row: the last axis, all outer axes being rows. A scalar is one row. */
export function tensorRows(info: TensorInfo): { readonly nRows: number; readonly rowBytes: number } {
  const nRows = info.shape.slice(0, -1).reduce((n, dim) => n * dim, 1);
  return { nRows, rowBytes: nRows === 0 ? 0 : info.nBytes / nRows };
}

/**
 * Reads a tensor some whole rows at a time, through one buffer of about `chunkBytes` (at least one row), so that it can be
 * converted or repacked without being held twice.
 *
 * `rows` are the bytes of rows firstRow to firstRow + nRows - 1, valid until `visit` returns.
 * Throws as `readTensorBytes` does, and what `visit` throws.
 */
export async function forEachRows(
  info: TensorInfo,
  visit: (rows: Uint8Array, firstRow: number, nRows: number) => void | Promise<void>,
  options: ReadOptions = {},
): Promise<void> {
  const { nRows, rowBytes } = tensorRows(info);
  if (info.nBytes === 0) return;
  const { signal, onProgress, chunkBytes = READ_CHUNK_BYTES } = options;
  const rowsPerChunk = Math.min(nRows, Math.max(1, Math.floor(chunkBytes / rowBytes)));
  const buffer = new Uint8Array(rowsPerChunk * rowBytes);
  for (let first = 0; first < nRows; first += rowsPerChunk) {
    const n = Math.min(rowsPerChunk, nRows - first);
    const rows = buffer.subarray(0, n * rowBytes);
    await readTensorBytes(info, first * rowBytes, rows, { signal });
    await visit(rows, first, n);
    onProgress?.({ doneBytes: (first + n) * rowBytes, totalBytes: info.nBytes, what: info.name });
  }
}

/**
 * Turns the progress of one read after another into the progress of all of them. Each call of the result is for one read:
 *   const next = progressOver(totalBytes, show);
 *   for (const info of infos) await readTensorBytes(info, 0, viewOf(info), { onProgress: next() });
 */
export function progressOver(totalBytes: number, onProgress: OnProgress): () => OnProgress {
  let doneBytes = 0;
  return () => {
    let doneHere = 0;
    return (progress) => {
      doneBytes += progress.doneBytes - doneHere;
      doneHere = progress.doneBytes;
      onProgress({ doneBytes, totalBytes, what: progress.what });
    };
  };
}
