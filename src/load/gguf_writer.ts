import { ConfigError } from '../core/errors.ts';
import { META_TYPES, type MetaElement, type MetaScalar, type MetaType, type MetaValue } from '../core/metadata.ts';
import { type Shape, showShape, sizeOf } from '../core/shape.ts';
import { ByteWriter } from './byte_writer.ts';
import { GGUF_DEFAULT_ALIGNMENT, GGUF_MAGIC, isAlignment } from './gguf_header.ts';
import { alignUp, MAX_TENSOR_DIMS, MAX_TENSOR_NAME_BYTES } from './gguf_tensor_infos.ts';
import { GGML_TYPES, ggmlTypeNumber } from './gguf_types.ts';

/** A tensor as the head of the file announces it. */
export interface GgufTensorHead {
  readonly name: string;
  /** A type name of ggml: "f32", "q8_0". */
  readonly type: string;
  /** Outermost axis first. */
  readonly shape: Shape;
}

export interface GgufTensor extends GgufTensorHead {
  readonly bytes: Uint8Array;
}

export interface GgufHead {
  /** [key, type, value]; an array has type "array" and says its element type itself. */
  readonly metadata: readonly (readonly [key: string, type: MetaType, value: MetaValue])[];
  readonly tensors: readonly GgufTensorHead[];
  /** A power of two from 8; written as general.alignment. 32, and not written, when missing. */
  readonly alignment?: number;
}

export interface GgufContent extends GgufHead {
  readonly tensors: readonly GgufTensor[];
}

const VERSION = 3;

/** Bytes, smallest and largest value of each integer type. */
const INTEGERS = {
  u8: [1, 0n, 2n ** 8n - 1n],
  i8: [1, -(2n ** 7n), 2n ** 7n - 1n],
  u16: [2, 0n, 2n ** 16n - 1n],
  i16: [2, -(2n ** 15n), 2n ** 15n - 1n],
  u32: [4, 0n, 2n ** 32n - 1n],
  i32: [4, -(2n ** 31n), 2n ** 31n - 1n],
  u64: [8, 0n, 2n ** 64n - 1n],
  i64: [8, -(2n ** 63n), 2n ** 63n - 1n],
} as const;

/**
 * A whole GGUF file, version 3; what `openGguf` reads is what was given.
 *
 * Throws ConfigError for what the format cannot hold: a key or name that is taken, too long or not text, a value out of its
 * type's range, rows that are no whole blocks, data that does not fill its shape.
 */
export function writeGguf(content: GgufContent): Uint8Array<ArrayBuffer> {
  const alignment = content.alignment ?? GGUF_DEFAULT_ALIGNMENT;
  const out = new ByteWriter();
  out.bytes(writeGgufHead(content));
  for (const tensor of content.tensors) {
    const { name, type, shape, bytes } = tensor;
    const nBytes = tensorBytes(tensor);
    if (nBytes !== bytes.length) {
      throw new ConfigError(
        `gguf: tensor "${name}" ${showShape(shape)} of ${type} needs ${nBytes} bytes, got ${bytes.length}`,
      );
    }
    out.bytes(bytes);
    out.padTo(alignment);
  }
  return out.finish();
}

/**
 * Everything before the first tensor's data, for a file whose data is too large for one buffer. The data of the tensors
 * follows in their order, each with zeros up to the next multiple of the alignment.
 * Throws as `writeGguf` does.
 */
export function writeGgufHead(head: GgufHead): Uint8Array<ArrayBuffer> {
  const alignment = head.alignment ?? GGUF_DEFAULT_ALIGNMENT;
  if (!isAlignment(alignment)) throw new ConfigError(`gguf: alignment ${alignment} is not a power of two from 8`);
  const metadata = [...head.metadata];
  if (head.alignment !== undefined) metadata.push(['general.alignment', 'u32', alignment]);

  const out = new ByteWriter();
  out.bytes(new TextEncoder().encode(GGUF_MAGIC));
  out.u32(VERSION);
  out.u64(BigInt(head.tensors.length));
  out.u64(BigInt(metadata.length));
  const keys = new Set<string>();
  for (const [key, type, value] of metadata) {
    if (!/^[\0-\x7f]{1,65535}$/.test(key)) throw new ConfigError(`gguf: key "${key}" is not 1 to 65535 bytes of ASCII`);
    if (keys.has(key)) throw new ConfigError(`gguf: key "${key}" is given twice`);
    keys.add(key);
    writeString(out, key);
    out.u32(META_TYPES.indexOf(type));
    writeValue(out, key, type, value);
  }

  const names = new Set<string>();
  let offset = 0;
  for (const tensor of head.tensors) {
    if (names.has(tensor.name)) throw new ConfigError(`gguf: two tensors are called "${tensor.name}"`);
    names.add(tensor.name);
    writeTensorInfo(out, tensor, offset);
    offset = alignUp(offset + tensorBytes(tensor), alignment);
  }
  if (head.tensors.length > 0) out.padTo(alignment);
  return out.finish();
}

function writeString(out: ByteWriter, text: string | Uint8Array): void {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  out.u64(BigInt(bytes.length));
  out.bytes(bytes);
}

function writeValue(out: ByteWriter, key: string, type: MetaType, value: MetaValue): void {
  if (typeof value !== 'object' || value instanceof Uint8Array) {
    if (type === 'array') throw new ConfigError(`gguf: "${key}" is said to be an array and is not`);
    writeScalar(out, key, type, value);
    return;
  }
  if (type !== 'array') throw new ConfigError(`gguf: "${key}" is an array, its type says ${type}`);
  out.u32(META_TYPES.indexOf(value.arrayOf));
  out.u64(BigInt(value.values.length));
  for (let i = 0; i < value.values.length; i++) writeScalar(out, `${key}[${i}]`, value.arrayOf, value.values[i]!);
}

function writeScalar(out: ByteWriter, what: string, type: MetaElement, value: MetaScalar): void {
  switch (type) {
    case 'string':
      if (!isText(value)) throw wrong(what, type, value);
      writeString(out, value);
      return;
    case 'bool':
      if (typeof value !== 'boolean') throw wrong(what, type, value);
      out.u8(value ? 1 : 0);
      return;
    case 'f32':
    case 'f64':
      if (typeof value !== 'number') throw wrong(what, type, value);
      if (type === 'f32') out.f32(value);
      else out.f64(value);
      return;
    case 'u8':
    case 'i8':
    case 'u16':
    case 'i16':
    case 'u32':
    case 'i32':
    case 'u64':
    case 'i64': {
      const [nBytes, least, most] = INTEGERS[type];
      const isInteger = typeof value === 'bigint' || Number.isSafeInteger(value);
      if (!isInteger || (value as number | bigint) < least || (value as number | bigint) > most) {
        throw wrong(what, type, value);
      }
      out.integer(BigInt(value as number | bigint), nBytes);
      return;
    }
    default:
      throw wrong(what, type satisfies never, value);
  }
}

function isText(value: MetaScalar): value is string | Uint8Array {
  return value instanceof Uint8Array || (typeof value === 'string' && !/\p{Surrogate}/u.test(value));
}

function wrong(what: string, type: MetaElement, value: MetaScalar): ConfigError {
  return new ConfigError(`gguf: "${what}" is ${String(value)}, which is no ${type}`);
}

function writeTensorInfo(out: ByteWriter, { name, type, shape }: GgufTensorHead, offset: number): void {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length > MAX_TENSOR_NAME_BYTES || /\p{Surrogate}/u.test(name)) {
    throw new ConfigError(`gguf: tensor name "${name}" is not at most ${MAX_TENSOR_NAME_BYTES} bytes of text`);
  }
  if (shape.length > MAX_TENSOR_DIMS) {
    throw new ConfigError(`gguf: tensor "${name}" has ${shape.length} axes, at most ${MAX_TENSOR_DIMS} fit`);
  }
  writeString(out, encoded);
  out.u32(shape.length);
  for (const dim of shape.toReversed()) out.u64(BigInt(dim));
  out.u32(typeNumber(name, type));
  out.u64(BigInt(offset));
}

/** Bytes of a tensor's data. Throws ConfigError for a type that ggml does not have, and for rows of broken blocks. */
function tensorBytes({ name, type, shape }: GgufTensorHead): number {
  const { blockSize, blockBytes } = GGML_TYPES.get(typeNumber(name, type))!;
  if ((shape.at(-1) ?? 1) % blockSize !== 0) {
    throw new ConfigError(
      `gguf: tensor "${name}" ${showShape(shape)} of ${type} has rows that are not whole blocks of ${blockSize}`,
    );
  }
  return (sizeOf(shape) / blockSize) * blockBytes;
}

function typeNumber(name: string, type: string): number {
  const number = ggmlTypeNumber(type);
  if (number !== undefined) return number;
  throw new ConfigError(`gguf: tensor "${name}" has type "${type}", which ggml does not have`);
}
