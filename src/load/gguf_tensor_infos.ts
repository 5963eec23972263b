import { UnsupportedError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import { showShape } from '../core/shape.ts';
import type { ByteCursor } from './byte_cursor.ts';
import { GGML_TYPES, type GgmlType, REMOVED_GGML_TYPES } from './gguf_types.ts';
import { readStringBytes } from './gguf_values.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';
import { decodeUtf8 } from './utf8.ts';

/** Limits of the specification. */
export const MAX_TENSOR_NAME_BYTES = 64;
export const MAX_TENSOR_DIMS = 4;

/** A tensor info whose offset still counts from the start of the data section. */
interface PendingInfo {
  readonly name: string;
  readonly type: GgmlType;
  readonly shape: readonly number[];
  readonly nBytes: number;
  readonly offset: number;
  /** The byte of the offset field. */
  readonly offsetAt: number;
}

/** n rounded up to a multiple of `alignment`; exact below 2^53. */
export function alignUp(n: number, alignment: number): number {
  return Math.ceil(n / alignment) * alignment;
}

/**
 * The directory of tensors; the cursor stands at its first byte.
 *
 * Data must be where the format puts it: in the directory's order, each tensor at the next multiple of the alignment, all
 * inside the file. So nothing can overlap and no byte is hidden between tensors.
 * Throws FormatError for anything else, UnsupportedError for a type that ggml dropped.
 */
export async function readTensorInfos(
  cursor: ByteCursor,
  source: ByteSource,
  nTensors: number,
  alignment: number,
): Promise<Map<string, TensorInfo>> {
  const pending = new Map<string, PendingInfo>();
  let dataBytes = 0; // padded bytes of the tensors so far
  for (let i = 0; i < nTensors; i++) {
    const nameAt = cursor.position;
    const info = await readTensorInfo(cursor, i);
    if (pending.has(info.name)) throw cursor.error(`tensor ${quote(info.name)} is there twice`, nameAt);
    if (info.offset !== dataBytes) {
      throw cursor.error(`tensor ${quote(info.name)} offset is ${info.offset}, expected ${dataBytes}`, info.offsetAt);
    }
    pending.set(info.name, info);
    dataBytes = alignUp(dataBytes + info.nBytes, alignment);
  }

  // A sum of more bytes than the file has may be inexact; its tensors are refused here all the same.
  const dataStart = alignUp(cursor.position, alignment);
  const tensors = new Map<string, TensorInfo>();
  for (const info of pending.values()) {
    const offset = dataStart + info.offset;
    const end = offset + info.nBytes;
    if (end > source.size) {
      throw cursor.error(
        `tensor ${quote(info.name)} ends at byte ${end}, the file at ${source.size}; it is cut short, fetch it again`,
        info.offsetAt,
      );
    }
    tensors.set(info.name, {
      name: info.name,
      type: info.type.name,
      shape: info.shape,
      source,
      offset,
      nBytes: info.nBytes,
    });
  }
  return tensors;
}

async function readTensorInfo(cursor: ByteCursor, index: number): Promise<PendingInfo> {
  const name = await readName(cursor, `tensor ${index} name`);
  const field = `tensor ${quote(name)}`;

  await cursor.fill(4, `${field} nDims`);
  const nDimsAt = cursor.position;
  const nDims = cursor.u32();
  if (nDims > MAX_TENSOR_DIMS) {
    throw cursor.error(`${field} nDims is ${nDims}, expected at most ${MAX_TENSOR_DIMS}`, nDimsAt);
  }
  await cursor.fill(nDims * 8 + 4 + 8, `${field} info`);
  const dimsAt = cursor.position;
  const dims: number[] = []; // innermost first, as in the file
  for (let axis = 0; axis < nDims; axis++) dims.push(cursor.safeU64(`${field} dims[${axis}]`));

  const type = readType(cursor, field);
  const nBytes = tensorBytes(cursor, field, dims, type, dimsAt);
  const offsetAt = cursor.position;
  const offset = cursor.safeU64(`${field} offset`);
  return { name, type, shape: dims.reverse(), nBytes, offset, offsetAt };
}

async function readName(cursor: ByteCursor, field: string): Promise<string> {
  const at = cursor.position;
  const bytes = await readStringBytes(cursor, field);
  if (bytes.length > MAX_TENSOR_NAME_BYTES) {
    throw cursor.error(`${field} has ${bytes.length} bytes, expected at most ${MAX_TENSOR_NAME_BYTES}`, at);
  }
  const name = decodeUtf8(bytes);
  if (name === null) throw cursor.error(`${field} is not UTF-8`, at);
  return name;
}

function readType(cursor: ByteCursor, field: string): GgmlType {
  const at = cursor.position;
  const number = cursor.u32();
  const type = GGML_TYPES.get(number);
  if (type !== undefined) return type;
  const removed = REMOVED_GGML_TYPES.get(number);
  if (removed === undefined) throw cursor.error(`${field} type is ${number}, which is no type of ggml`, at);
  throw new UnsupportedError(
    `${cursor.name}: ${field} type is ${number} (${removed}, at byte ${at}), which ggml has dropped; convert the model again`,
  );
}

/** Bytes of a whole tensor. The product is exact (64-bit dims overflow doubles and 64-bit integers) before it is believed. */
function tensorBytes(cursor: ByteCursor, field: string, dims: number[], type: GgmlType, dimsAt: number): number {
  const rowLength = dims[0] ?? 1;
  if (rowLength % type.blockSize !== 0) {
    throw cursor.error(`${field} has rows of ${rowLength}, ${type.name} needs a multiple of ${type.blockSize}`, dimsAt);
  }
  let nElements = 1n;
  for (const dim of dims) nElements *= BigInt(dim);
  const nBytes = (nElements / BigInt(type.blockSize)) * BigInt(type.blockBytes);
  if (nBytes <= BigInt(cursor.remaining)) return Number(nBytes);
  const shape = showShape(dims.toReversed());
  throw cursor.error(
    `${field} ${shape} of ${type.name} needs ${nBytes} bytes, the file has ${cursor.remaining} left; it is cut short or damaged`,
    dimsAt,
  );
}
