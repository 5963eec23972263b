import { ConfigError } from '../core/errors.ts';
import { type Shape, showShape, sizeOf } from '../core/shape.ts';
import { quote } from './quote.ts';
import { METADATA_KEY, SAFETENSORS_BITS } from './safetensors_header.ts';

export type SafetensorsData =
  | { readonly dtype: 'F32'; readonly data: Float32Array }
  | { readonly dtype: 'F64'; readonly data: Float64Array }
  | { readonly dtype: 'I32'; readonly data: Int32Array }
  | { readonly dtype: 'BF16'; readonly data: Uint16Array }; // its bits

export type SafetensorsTensor = SafetensorsData & { readonly name: string; readonly shape: Shape };

/** The header is padded with spaces to this, and wider types come first, so that every tensor is aligned to its type. */
const ALIGNMENT = 8;
const LENGTH_BYTES = 8;

/**
 * A whole safetensors file. Bits are kept, NaN payloads too. Tensors keep their order, except that F64 ones go first.
 *
 * Throws ConfigError for a name that is taken, reserved or not well-formed text, and for data that does not fill its shape.
 */
export function writeSafetensors(
  tensors: readonly SafetensorsTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const wideFirst = tensors.toSorted((a, b) => bitsOf(b) - bitsOf(a)); // a stable sort
  const members = new Map<string, string>();
  for (const text of Object.entries(metadata).flat()) checkText(text);
  if (Object.keys(metadata).length > 0) members.set(METADATA_KEY, JSON.stringify(metadata));
  let dataBytes = 0;
  for (const tensor of wideFirst) {
    check(tensor, members);
    const end = dataBytes + tensor.data.byteLength;
    const entry = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [dataBytes, end] };
    members.set(tensor.name, JSON.stringify(entry));
    dataBytes = end;
  }

  // Built from parts, since an object would give names like "1" or "__proto__" a life of their own.
  const body = [...members].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',');
  const json = new TextEncoder().encode(`{${body}}`);
  const headerBytes = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(LENGTH_BYTES + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(' '.charCodeAt(0), LENGTH_BYTES, LENGTH_BYTES + headerBytes);
  file.set(json, LENGTH_BYTES);
  let at = LENGTH_BYTES + headerBytes;
  for (const { data } of wideFirst) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

function bitsOf(tensor: SafetensorsTensor): number {
  return SAFETENSORS_BITS.get(tensor.dtype)!;
}

function check({ name, shape, data }: SafetensorsTensor, taken: ReadonlyMap<string, string>): void {
  if (name === METADATA_KEY)
    throw new ConfigError(`safetensors: a tensor cannot be called "${METADATA_KEY}"; rename it`);
  if (taken.has(name)) throw new ConfigError(`safetensors: two tensors are called "${name}"; rename one`);
  checkText(name);
  if (data.length !== sizeOf(shape)) {
    throw new ConfigError(
      `safetensors: tensor "${name}" ${showShape(shape)} needs ${sizeOf(shape)} elements, got ${data.length}`,
    );
  }
}

/** JSON could escape half a surrogate pair, but no other reader has a string for it. */
function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text))
    throw new ConfigError(`safetensors: ${quote(text)} has half a surrogate pair; rename it`);
}
