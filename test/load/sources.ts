import { expect } from 'vitest';
import { isGlassformerError } from '../../src/core/errors.ts';
import { type ByteSource, bufferSource, type SourceFolder } from '../../src/core/host.ts';
import type { ModelFile } from '../../src/load/model_file.ts';

/** A source that remembers what was asked of it. */
export interface WatchedSource extends ByteSource {
  readBytes: number;
  largestRead: number;
  isClosed: boolean;
}

export function watch(source: ByteSource): WatchedSource {
  const watched: WatchedSource = {
    name: source.name,
    size: source.size,
    readBytes: 0,
    largestRead: 0,
    isClosed: false,
    async read(offset, into) {
      if (watched.isClosed) throw new Error(`${source.name} is read after it was closed`);
      watched.readBytes += into.byteLength;
      watched.largestRead = Math.max(watched.largestRead, into.byteLength);
      await source.read(offset, into);
    },
    async close() {
      watched.isClosed = true;
      await source.close();
    },
  };
  return watched;
}

/** A folder of buffers that remembers what was opened. */
export function folderOf(files: Record<string, Uint8Array>): SourceFolder & { readonly opened: WatchedSource[] } {
  const opened: WatchedSource[] = [];
  return {
    name: 'folder',
    opened,
    async open(fileName) {
      const bytes = Object.hasOwn(files, fileName) ? files[fileName] : undefined;
      if (bytes === undefined) return null;
      const source = watch(bufferSource(`folder/${fileName}`, bytes));
      opened.push(source);
      return source;
    },
  };
}

export function expectInside(model: ModelFile): void {
  for (const [name, info] of model.tensors) {
    expect(info.name).toBe(name);
    expect(info.offset).toBeGreaterThanOrEqual(0);
    expect(info.offset + info.nBytes).toBeLessThanOrEqual(info.source.size);
  }
}

export type Open = (source: ByteSource) => Promise<ModelFile>;

/**
 * What must hold for any bytes whatever: a model whose tensors lie inside the file, or a typed error; and nothing is read
 * beyond what the file has, twice over (the part of a window that is read again). Gives the error, or null.
 */
export async function openAnything(open: Open, bytes: Uint8Array): Promise<Error | null> {
  const source = watch(bufferSource('fuzz', bytes));
  try {
    expectInside(await open(source));
    return null;
  } catch (error) {
    if (!isGlassformerError(error)) throw error;
    return error;
  } finally {
    expect(source.readBytes).toBeLessThanOrEqual(2 * bytes.length);
    expect(source.largestRead).toBeLessThanOrEqual(bytes.length);
  }
}

/** Every file that differs in one bit, and every beginning of the file. Calls `visit` with a buffer that it must not keep. */
export async function everyDamage(file: Uint8Array, visit: (damaged: Uint8Array) => Promise<void>): Promise<void> {
  const damaged = file.slice();
  for (let bit = 0; bit < file.length * 8; bit++) {
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    await visit(damaged);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
  }
  for (let length = 0; length < file.length; length++) await visit(file.subarray(0, length));
}
