import { FormatError } from '../core/errors.ts';
import type { ByteSource, SourceFolder } from '../core/host.ts';

/** Throws FormatError when `source` has no nBytes at `offset`: what every source checks before it reads. */
export function checkRange(source: Pick<ByteSource, 'name' | 'size'>, offset: number, nBytes: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && offset + nBytes <= source.size) return;
  throw new FormatError(
    `${source.name}: needs bytes ${offset} to ${offset + nBytes}, the source has ${source.size}`,
    offset,
  );
}

/** A blob (a dropped file is one), read piece by piece. `read` throws FormatError when the file behind it changed. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, into) {
      checkRange({ name, size: blob.size }, offset, into.byteLength);
      let bytes: ArrayBuffer;
      try {
        bytes = await blob.slice(offset, offset + into.byteLength).arrayBuffer();
      } catch (e) {
        throw new FormatError(
          `${name}: the file changed or went away while it was read: ${(e as Error).message}`,
          offset,
        );
      }
      into.set(new Uint8Array(bytes));
    },
    async close() {},
  };
}

/** Blobs by file name, as a folder. */
export function blobFolder(files: ReadonlyMap<string, Blob>, within = ''): SourceFolder {
  return {
    name: 'folder',
    async open(fileName) {
      const blob = files.get(within + fileName);
      return blob === undefined ? null : blobSource(fileName, blob);
    },
    folder: (folderName) => blobFolder(files, `${within}${folderName}/`),
  };
}
