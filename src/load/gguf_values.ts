import { UnsupportedError } from '../core/errors.ts';
import { META_TYPES, type MetaElement, type MetaScalar, type MetaType, type MetaValue } from '../core/metadata.ts';
import type { ByteCursor } from './byte_cursor.ts';
import { decodeUtf8 } from './utf8.ts';

/**
 * Values of GGUF key-value pairs.
 *
 *   string   u64 length, bytes (UTF-8 by the specification, any bytes in practice; no terminator)
 *   bool     one byte, 0 or 1
 *   array    u32 element type, u64 count, elements
 *
 * Source: the GGUF specification of ggml, docs/gguf.md, "gguf_metadata_value_t".
 */

/** A string's length and an array's count are u64. */
const LENGTH_BYTES = 8;

type NumberType = Exclude<MetaElement, 'bool' | 'string'>;

interface NumberFormat {
  readonly nBytes: number;
  readonly get: (view: DataView, at: number) => number | bigint;
  /** A typed array of `count` zeros. Elements are stored little-endian, as in memory on every host that has WebAssembly. */
  readonly array: (count: number) => NumberArray;
}

type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

const NUMBERS: Readonly<Record<NumberType, NumberFormat>> = {
  u8: { nBytes: 1, get: (view, at) => view.getUint8(at), array: (n) => new Uint8Array(n) },
  i8: { nBytes: 1, get: (view, at) => view.getInt8(at), array: (n) => new Int8Array(n) },
  u16: { nBytes: 2, get: (view, at) => view.getUint16(at, true), array: (n) => new Uint16Array(n) },
  i16: { nBytes: 2, get: (view, at) => view.getInt16(at, true), array: (n) => new Int16Array(n) },
  u32: { nBytes: 4, get: (view, at) => view.getUint32(at, true), array: (n) => new Uint32Array(n) },
  i32: { nBytes: 4, get: (view, at) => view.getInt32(at, true), array: (n) => new Int32Array(n) },
  f32: { nBytes: 4, get: (view, at) => view.getFloat32(at, true), array: (n) => new Float32Array(n) },
  u64: { nBytes: 8, get: (view, at) => exact(view.getBigUint64(at, true)), array: (n) => new BigUint64Array(n) },
  i64: { nBytes: 8, get: (view, at) => exact(view.getBigInt64(at, true)), array: (n) => new BigInt64Array(n) },
  f64: { nBytes: 8, get: (view, at) => view.getFloat64(at, true), array: (n) => new Float64Array(n) },
};

/** A number where that is exact, else the bigint itself. */
function exact(n: bigint): number | bigint {
  const number = Number(n);
  return Number.isSafeInteger(number) ? number : n;
}

/** The type number of a value or of an array's elements. Throws FormatError for a number above 12. */
export async function readValueType(cursor: ByteCursor, field: string): Promise<MetaType> {
  await cursor.fill(4, field);
  const at = cursor.position;
  const number = cursor.u32();
  const type = META_TYPES[number];
  if (type !== undefined) return type;
  throw cursor.error(`${field} is ${number}, expected 0 to ${META_TYPES.length - 1}`, at);
}

/**
 * One value. Throws FormatError when it is damaged or reaches past the end of the file, UnsupportedError for an array of
 * arrays.
 */
export async function readValue(cursor: ByteCursor, type: MetaType, field: string): Promise<MetaValue> {
  if (type !== 'array') return readScalar(cursor, type, field);
  const at = cursor.position;
  const element = await readValueType(cursor, `${field} element type`);
  if (element === 'array') {
    throw new UnsupportedError(`${cursor.name}: ${field} is an array of arrays (at byte ${at}), which no model needs`);
  }
  return { arrayOf: element, values: await readElements(cursor, element, field) };
}

async function readScalar(cursor: ByteCursor, type: MetaElement, field: string): Promise<MetaScalar> {
  if (type === 'string') return textOrBytes(await readStringBytes(cursor, field));
  if (type === 'bool') {
    await cursor.fill(1, field);
    return toBool(cursor, cursor.u8(), field, cursor.position - 1);
  }
  const { nBytes, get } = NUMBERS[type];
  await cursor.fill(nBytes, field);
  return cursor.take(nBytes, get);
}

/** The bytes of a string, as a view that is valid until the cursor's next step. */
export async function readStringBytes(cursor: ByteCursor, field: string): Promise<Uint8Array> {
  await cursor.fill(LENGTH_BYTES, `${field} length`);
  const nBytes = cursor.count(`${field} length`, 1);
  await cursor.fill(nBytes, field);
  return cursor.bytes(nBytes);
}

function textOrBytes(bytes: Uint8Array): string | Uint8Array {
  return decodeUtf8(bytes) ?? bytes.slice();
}

function toBool(cursor: ByteCursor, byte: number, field: string, at: number): boolean {
  if (byte <= 1) return byte === 1;
  throw cursor.error(`${field} is a bool of ${byte}, expected 0 or 1`, at);
}

async function readElements(cursor: ByteCursor, type: MetaElement, field: string): Promise<ArrayLike<MetaScalar>> {
  const nBytesEach = type === 'string' ? LENGTH_BYTES : type === 'bool' ? 1 : NUMBERS[type].nBytes;
  await cursor.fill(LENGTH_BYTES, `${field} count`);
  const count = cursor.count(`${field} count`, nBytesEach);
  cursor.claim(count * nBytesEach, field);
  if (type === 'string') return readStrings(cursor, count, field);

  const at = cursor.position;
  const values = type === 'bool' ? new Uint8Array(count) : NUMBERS[type].array(count);
  await cursor.copy(new Uint8Array(values.buffer), field);
  if (type !== 'bool') return values;
  return Array.from(values as Uint8Array, (byte, i) => toBool(cursor, byte, `${field}[${i}]`, at + i));
}

/** A vocabulary has some hundred thousand strings: they are read without a promise each, from one fill to the next. */
async function readStrings(cursor: ByteCursor, count: number, field: string): Promise<(string | Uint8Array)[]> {
  const strings: (string | Uint8Array)[] = [];
  for (let i = 0; i < count; i++) {
    if (!cursor.has(LENGTH_BYTES)) await cursor.fill(LENGTH_BYTES, `${field}[${i}] length`);
    const nBytes = cursor.count(`${field}[${i}] length`, 1);
    if (!cursor.has(nBytes)) await cursor.fill(nBytes, `${field}[${i}]`);
    strings.push(textOrBytes(cursor.bytes(nBytes)));
  }
  return strings;
}
