import { DTYPES, type DType } from '../core/dtype.ts';
import { assert, FormatError, ShapeError, UnsupportedError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import { type Shape, showShape, sizeOf } from '../core/shape.ts';
import { FORMATS } from '../quant/formats.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';
import { dtypeOf, readTensorBytes, tensorRows } from './weights.ts';

/**
 * Tensors that a file has in another layout than GGUF's, made when they are read. Nothing is read before, and only some
 * megabytes are held while a read runs, whatever the tensor's size. Each belongs to the file of its parts: closing it closes
 * nothing.
 */

/** What is read of the parts at a time, where their bytes cannot go straight to the reader. */
const STRIP_BYTES = 1 << 20;

/** Rows of the part that are read in one go, at most this many times those that are wanted. */
const MOST_WASTE = 4;

/** The rows from `from` on of a tensor: a part of the file as it is. */
export function rowsOf(info: TensorInfo, from: number, nRows: number): TensorInfo {
  const { rowBytes, nRows: nAll } = tensorRows(info);
  if (!(from >= 0 && nRows >= 1 && from + nRows <= nAll)) {
    throw new ShapeError(
      `tensor ${quote(info.name)} ${showShape(info.shape)} has no rows ${from} to ${from + nRows - 1}`,
    );
  }
  return {
    ...info,
    shape: [nRows, ...info.shape.slice(-1)],
    offset: info.offset + from * rowBytes,
    nBytes: nRows * rowBytes,
  };
}

/** Row i is row sourceRow(i) of `info`, of as many rows. In any format, since a row is whole blocks. */
export function rowsPermuted(info: TensorInfo, sourceRow: (row: number) => number): TensorInfo {
  const { rowBytes } = tensorRows(info);
  /** Fills `into` from the byte `at` on, all within rows firstRow .. lastRow. */
  const fill = async (at: number, into: Uint8Array): Promise<void> => {
    const [firstRow, lastRow] = [Math.floor(at / rowBytes), Math.floor((at + into.length - 1) / rowBytes)];
    const sources = Array.from({ length: lastRow - firstRow + 1 }, (_, i) => sourceRow(firstRow + i));
    const lowest = sources.reduce((a, b) => Math.min(a, b));
    const span = sources.reduce((a, b) => Math.max(a, b)) - lowest + 1;
    const isTogether = span <= MOST_WASTE * sources.length;
    const strip = new Uint8Array(isTogether ? span * rowBytes : 0);
    if (isTogether) await readTensorBytes(info, lowest * rowBytes, strip);
    for (const [i, source] of sources.entries()) {
      const rowAt = (firstRow + i) * rowBytes;
      const from = Math.max(at, rowAt);
      const part = into.subarray(from - at, Math.min(at + into.length, rowAt + rowBytes) - at);
      const start = source * rowBytes + from - rowAt;
      if (isTogether) part.set(strip.subarray(start - lowest * rowBytes, start - lowest * rowBytes + part.length));
      else await readTensorBytes(info, start, part);
    }
  };
  return derived(info, info.type, info.shape, info.nBytes, (at, into) => inStrips(at, into, fill));
}

/**
 * The parts one below the other: the sum of their first axes, or with 'new axis' (experts) an axis of parts before theirs.
 * Throws ShapeError unless they have one format and, below the first axis (for a new axis: all over), one shape.
 */
export function stacked(parts: readonly TensorInfo[], axis: 'first axis' | 'new axis'): TensorInfo {
  const [first] = parts;
  assert(first !== undefined, 'a stack has parts');
  const own = (info: TensorInfo): Shape => (axis === 'new axis' ? info.shape : info.shape.slice(1));
  for (const part of parts) {
    if (part.type === first.type && showShape(own(part)) === showShape(own(first)) && part.shape.length > 0) continue;
    throw new ShapeError(
      `tensors ${quote(first.name)} (${first.type} ${showShape(first.shape)}) and ${quote(part.name)} (${part.type} ${showShape(part.shape)}) do not stack`,
    );
  }
  const height = axis === 'new axis' ? parts.length : parts.reduce((n, part) => n + part.shape[0]!, 0);
  const nBytes = parts.reduce((n, part) => n + part.nBytes, 0);
  return derived(first, first.type, [height, ...own(first)], nBytes, async (at, into) => {
    let start = 0;
    for (const part of parts) {
      const [from, to] = [Math.max(at, start), Math.min(at + into.length, start + part.nBytes)];
      if (from < to) await readTensorBytes(part, from - start, into.subarray(from - at, to - at));
      start += part.nBytes;
    }
  });
}

/**
 * As f32, every element plus 1, rounded once: norms whose factors are stored as their distance from 1.
 * Throws UnsupportedError for a format that cannot be run.
 */
export function plusOne(info: TensorInfo): TensorInfo {
  const format = FORMATS[elementType(info)];
  return derived(info, 'f32', info.shape, 4 * sizeOf(info.shape), (at, into) =>
    inStrips(at, into, async (from, part) => {
      const [first, end] = [Math.floor(from / 4), Math.ceil((from + part.length) / 4)];
      const bytes = new Uint8Array((end - first) * format.blockBytes);
      await readTensorBytes(info, first * format.blockBytes, bytes);
      const values = new Float32Array(end - first);
      format.unpack(bytes, 0, values, 0, values.length);
      for (let i = 0; i < values.length; i++) values[i]! += 1;
      const packed = new Uint8Array(4 * values.length);
      FORMATS.f32.pack(values, 0, values.length, packed, 0);
      part.set(packed.subarray(from - 4 * first, from - 4 * first + part.length));
    }),
  );
}

/** The name of a format whose blocks are single elements. Throws UnsupportedError naming the tensor for another one. */
export function elementType(info: TensorInfo): DType {
  const type = dtypeOf(info);
  if (DTYPES[type].blockSize === 1) return type;
  throw new UnsupportedError(
    `tensor ${quote(info.name)} is ${type}: its elements cannot be moved or changed one by one; get the model in f32, f16 or bf16`,
  );
}

/** A tensor whose bytes `fill` makes; it is called with ranges that lie in the tensor. */
export function derived(
  from: TensorInfo,
  type: string,
  shape: Shape,
  nBytes: number,
  fill: (at: number, into: Uint8Array) => Promise<void>,
): TensorInfo {
  const name = `${from.source.name} (${from.name})`;
  const source: ByteSource = {
    name,
    size: nBytes,
    async read(offset, into) {
      if (offset < 0 || offset + into.length > nBytes) {
        throw new FormatError(
          `${name}: needs bytes ${offset} to ${offset + into.length}, the tensor has ${nBytes}`,
          offset,
        );
      }
      if (into.length > 0) await fill(offset, into);
    },
    async close() {},
  };
  return { name: from.name, type, shape, source, offset: 0, nBytes };
}

/** Calls `fill` for one strip of `into` after the other. */
export async function inStrips(
  at: number,
  into: Uint8Array,
  fill: (at: number, into: Uint8Array) => Promise<void>,
): Promise<void> {
  for (let done = 0; done < into.length; done += STRIP_BYTES) {
    await fill(at + done, into.subarray(done, Math.min(done + STRIP_BYTES, into.length)));
  }
}
