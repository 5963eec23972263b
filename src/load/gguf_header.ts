import { UnsupportedError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import type { MetaValue } from '../core/metadata.ts';
import { ByteCursor } from './byte_cursor.ts';
import { readTensorInfos } from './gguf_tensor_infos.ts';
import { readStringBytes, readValue, readValueType } from './gguf_values.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';
import { decodeAscii } from './utf8.ts';

/**
 * One GGUF file, versions 2 and 3, little-endian:
 *
 *   magic "GGUF"   u32 version   u64 nTensors   u64 nPairs
 *   nPairs   x  { string key, u32 value type, value }
 *   nTensors x  { string name, u32 nDims, u64 dims[nDims], u32 type, u64 offset }
 *   padding to a multiple of general.alignment (32 when the key is missing)
 *   tensor data, each tensor padded to a multiple of the alignment
 *
 * Source: the GGUF specification of ggml, docs/gguf.md.
 */
export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, MetaValue>;
  /** The byte of each key's value, for errors that are only found later. */
  readonly valueOffsets: ReadonlyMap<string, number>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

export const GGUF_MAGIC = 'GGUF';
export const GGUF_DEFAULT_ALIGNMENT = 32;

const HEADER_BYTES = 24;
/** The smallest key-value pair: key length, one byte of key, value type, one byte of value. */
const MIN_PAIR_BYTES = 8 + 1 + 4 + 1;
/** The smallest tensor info: name length, no name, nDims, no dims, type, offset. */
const MIN_INFO_BYTES = 8 + 4 + 4 + 8;
/** The specification: "at most 2^16 - 1 bytes long". */
const MAX_KEY_BYTES = 65_535;
/** The specification asks for a multiple of 8; every implementation computes with powers of two. */
const MIN_ALIGNMENT = 8;
const ALIGNMENT_KEY = 'general.alignment';
const ARCHITECTURE_KEY = 'general.architecture';

/**
 * Reads and checks everything before the tensor data, and that the data lies inside the file.
 * Throws FormatError, UnsupportedError (another version, big-endian, a tensor type that ggml dropped) or CapacityError.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  const cursor = new ByteCursor(source);
  const { nTensors, nPairs } = await readCounts(cursor);
  const { metadata, valueOffsets } = await readPairs(cursor, nPairs);
  const alignment = (metadata.get(ALIGNMENT_KEY) as number | undefined) ?? GGUF_DEFAULT_ALIGNMENT;
  const tensors = await readTensorInfos(cursor, source, nTensors, alignment);
  return { metadata, valueOffsets, tensors };
}

/**
 * general.architecture of a GGUF file; null where it has none, and for a source that is no such file. It is the first key of nearly every
 * file, then a few bytes are read. Throws what readGgufHeader throws.
 */
export async function peekArchitecture(source: ByteSource): Promise<string | null> {
  const start = new Uint8Array(Math.min(GGUF_MAGIC.length, source.size));
  await source.read(0, start);
  if (decodeAscii(start) !== GGUF_MAGIC) return null;
  const cursor = new ByteCursor(source);
  const { nPairs } = await readCounts(cursor);
  if (nPairs === 0) return null;
  if ((await readKey(cursor, 0)) !== ARCHITECTURE_KEY) {
    const name = (await readGgufHeader(source)).metadata.get(ARCHITECTURE_KEY);
    return typeof name === 'string' ? name : null;
  }
  if ((await readValueType(cursor, `metadata "${ARCHITECTURE_KEY}" type`)) !== 'string') return null;
  return decodeAscii(await readStringBytes(cursor, `metadata "${ARCHITECTURE_KEY}"`));
}

async function readCounts(cursor: ByteCursor): Promise<{ nTensors: number; nPairs: number }> {
  await cursor.fill(HEADER_BYTES, 'the header');
  const magic = decodeAscii(cursor.bytes(4));
  if (magic !== GGUF_MAGIC) throw cursor.error(`the first 4 bytes are not "${GGUF_MAGIC}"`, 0);
  checkVersion(cursor, cursor.u32());
  const nTensors = cursor.count('the tensor count', MIN_INFO_BYTES);
  return { nTensors, nPairs: cursor.count('the metadata count', MIN_PAIR_BYTES) };
}

function checkVersion(cursor: ByteCursor, version: number): void {
  if (version === 2 || version === 3) return;
  const at = cursor.position - 4;
  if (version === 0) throw cursor.error('version is 0, expected 2 or 3', at);
  const why = (version & 0xffff) === 0 ? 'a big-endian file' : `version ${version}`;
  throw new UnsupportedError(
    `${cursor.name}: ${why} (at byte ${at}), only little-endian GGUF 2 and 3 are read; convert the model again`,
  );
}

async function readPairs(cursor: ByteCursor, nPairs: number): Promise<Omit<GgufHeader, 'tensors'>> {
  const metadata = new Map<string, MetaValue>();
  const valueOffsets = new Map<string, number>();
  for (let i = 0; i < nPairs; i++) {
    const at = cursor.position;
    const key = await readKey(cursor, i);
    if (metadata.has(key)) throw cursor.error(`metadata key ${quote(key)} is there twice`, at);
    const type = await readValueType(cursor, `metadata ${quote(key)} type`);
    const valueAt = cursor.position;
    const value = await readValue(cursor, type, `metadata ${quote(key)}`);
    if (key === ALIGNMENT_KEY && (type !== 'u32' || !isAlignment(value as number))) {
      throw cursor.error(`${key} is ${type} ${value}, expected a u32 power of two from ${MIN_ALIGNMENT}`, valueAt);
    }
    metadata.set(key, value);
    valueOffsets.set(key, valueAt);
  }
  return { metadata, valueOffsets };
}

async function readKey(cursor: ByteCursor, index: number): Promise<string> {
  const field = `metadata key ${index}`;
  const at = cursor.position;
  const bytes = await readStringBytes(cursor, field);
  if (bytes.length === 0) throw cursor.error(`${field} is empty`, at);
  if (bytes.length > MAX_KEY_BYTES) {
    throw cursor.error(`${field} has ${bytes.length} bytes, expected at most ${MAX_KEY_BYTES}`, at);
  }
  const key = decodeAscii(bytes);
  if (key === null) throw cursor.error(`${field} is not ASCII`, at);
  return key;
}

export function isAlignment(n: number): boolean {
  return n >= MIN_ALIGNMENT && Number.isInteger(Math.log2(n));
}
