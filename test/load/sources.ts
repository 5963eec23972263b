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

/** Plain throws, here and below: `expect` would take most of the time of ten thousand damaged files. */
export function expectInside(model: ModelFile): void {
  for (const [name, { name: own, offset, nBytes, source }] of model.tensors) {
    const isInside = Number.isSafeInteger(offset) && Number.isSafeInteger(nBytes) && nBytes >= 0 && offset >= 0;
    if (own === name && isInside && offset + nBytes <= source.size) continue;
    throw new Error(`tensor "${name}" ("${own}"): ${nBytes} bytes at ${offset} are not inside ${source.size}`);
  }
}

export type Open = (source: ByteSource) => Promise<ModelFile>;

export class AbsurdRead extends Error {
  constructor(size: number, readBytes: number, largestRead: number) {
    super(`a file of ${size} bytes: ${readBytes} read in all, ${largestRead} at once`);
  }
}

/**
 * What must hold for any bytes whatever: a model whose tensors lie inside the file, or a typed error; and nothing is read
 * beyond what the file has, twice over (the part of a window that is read again). Gives the error, or null.
 */
export async function openAnything(open: Open, bytes: Uint8Array): Promise<Error | null> {
  const source = watch(bufferSource('fuzz', bytes));
  const result = await open(source).catch((error: unknown) => error);
  if (source.readBytes > 2 * bytes.length || source.largestRead > bytes.length) {
    throw new AbsurdRead(bytes.length, source.readBytes, source.largestRead);
  }
  if (isGlassformerError(result)) return result;
  if (result instanceof Error) throw result;
  expectInside(result as ModelFile);
  return null;
}

/** Which part of a file is damaged: its first `nBytes`, at every `step`th bit and byte. */
export interface DamageRange {
  readonly nBytes: number;
  readonly step: number;
}

/**
 * Every file that differs in one bit, and every beginning of the file, unless `range` says fewer. Calls `visit` with a buffer
 * that it must not keep.
 */
export async function everyDamage(
  file: Uint8Array,
  visit: (damaged: Uint8Array) => Promise<void>,
  { nBytes, step }: DamageRange = { nBytes: file.length, step: 1 },
): Promise<void> {
  const damaged = file.slice();
  for (let bit = 0; bit < nBytes * 8; bit += step) {
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    await visit(damaged);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
  }
  for (let length = 0; length < nBytes; length += step) await visit(file.subarray(0, length));
}
