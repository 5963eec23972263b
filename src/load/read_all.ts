import { CapacityError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';

/** The whole of a small file. Throws CapacityError, before allocating, when it has more than maxBytes. */
export async function readAll(source: ByteSource, maxBytes: number): Promise<Uint8Array> {
  if (source.size > maxBytes) {
    throw new CapacityError(`${source.name}: has ${source.size} bytes, files of its kind are read up to ${maxBytes}`);
  }
  const bytes = new Uint8Array(source.size);
  await source.read(0, bytes);
  return bytes;
}
