import { FormatError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import type { ModelFile, TensorInfo } from './model_file.ts';
import { readSafetensorsHeader } from './safetensors_header.ts';

/** The header's length is a u64 in front of it. */
const LENGTH_BYTES = 8;

/** The format's own limit: "the maximum header size is 100MB". */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Opens one safetensors file:  u64 n, header JSON of n bytes, tensor data.
 *
 * The result owns `source`; when this throws, `source` is still the caller's. Type names come in lower case ("bf16").
 * Throws FormatError: see `readSafetensorsHeader`. Never reads data, never allocates more than the header's bytes.
 */
export async function openSafetensors(source: ByteSource): Promise<ModelFile> {
  const { name, size } = source;
  if (size < LENGTH_BYTES) {
    throw new FormatError(`${name}: the header length needs ${LENGTH_BYTES} bytes, the file has ${size}`, 0);
  }
  const lengthBytes = new Uint8Array(LENGTH_BYTES);
  await source.read(0, lengthBytes);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  const most = Math.min(MAX_HEADER_BYTES, size - LENGTH_BYTES);
  if (length > BigInt(most)) {
    throw new FormatError(`${name}: the header length is ${length}, expected at most ${most}`, 0);
  }

  const json = new Uint8Array(Number(length));
  await source.read(LENGTH_BYTES, json);
  const dataAt = LENGTH_BYTES + json.length;
  const { metadata, entries } = readSafetensorsHeader(json, name, LENGTH_BYTES, size - dataAt);

  const tensors = new Map<string, TensorInfo>();
  for (const entry of entries.values()) {
    tensors.set(entry.name, {
      name: entry.name,
      type: entry.type.toLowerCase(),
      shape: entry.shape,
      source,
      offset: dataAt + entry.begin,
      nBytes: entry.end - entry.begin,
    });
  }
  return { format: 'safetensors', name, metadata, tensors, close: () => source.close() };
}
