import { readFileSync } from 'node:fs';
import { fixture } from './fixtures.ts';

/**
 * Trusting reader of a safetensors fixture, for tests of the floors below the real loader.
 * Layout: u64 header length, JSON header {name: {dtype, shape, data_offsets: [from, to]}}, data.
 */
export function readSafetensorsFixture(...parts: string[]): Map<string, Uint8Array> {
  const file = new Uint8Array(readFileSync(fixture(...parts)));
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + headerBytes))) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const tensors = new Map<string, Uint8Array>();
  for (const [name, info] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = info.data_offsets;
    tensors.set(name, file.slice(8 + headerBytes + from, 8 + headerBytes + to));
  }
  return tensors;
}

/** Little-endian f32 bytes as values. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
