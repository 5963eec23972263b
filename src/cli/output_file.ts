import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { CapacityError, ConfigError, type GlassformerError } from '../core/errors.ts';
import { showBytes } from './format.ts';

/** A file that is there whole or not at all. */
export interface OutputFile {
  /** Writes the next bytes; they may be used again afterwards. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes the last bytes, if there are any left, and gives the file its name. */
  commit(bytes?: Uint8Array): Promise<void>;
  /** Removes what was begun; nothing after a commit. */
  discard(): Promise<void>;
}

/** What a system says when there is no room for more: the disk, the user's share of it, the largest file it can have. */
const NO_ROOM = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/**
 * Begins a file under a temporary name beside `path`. Called before the work whose result it takes, so that a folder that
 * cannot be written is known at once. An older file stays until the new one is complete.
 * Throws ConfigError when the folder is missing or must not be written. `write` and `commit` throw CapacityError when the disk
 * is full, ConfigError for what else fails there.
 */
export async function beginOutputFile(path: string): Promise<OutputFile> {
  const { partPath, handle } = await openPart(path);
  let isOpen = true;
  let written = 0;
  const failure = (error: unknown, wanted: number): GlassformerError => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || !NO_ROOM.includes(code)) {
      return new ConfigError(`${path}: cannot be written (${message}); choose another place`);
    }
    return new CapacityError(
      `${path}: no room for ${showBytes(wanted)} after the first ${showBytes(written)} (${code}); make room on the disk, or choose another place`,
    );
  };
  const write = async (bytes: Uint8Array): Promise<void> => {
    try {
      await handle.writeFile(bytes);
    } catch (error) {
      throw failure(error, bytes.length);
    }
    written += bytes.length;
  };
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close();
    isOpen = false;
  };
  return {
    write,
    async commit(bytes) {
      if (bytes !== undefined) await write(bytes);
      try {
        await close();
        await rename(partPath, path);
      } catch (error) {
        throw failure(error, 0);
      }
    },
    async discard() {
      await close();
      await rm(partPath, { force: true });
    },
  };
}

/** A new file beside `path`. The same process may have begun another one for it: a chat saves in between what it saves at its end. */
async function openPart(path: string): Promise<{ readonly partPath: string; readonly handle: FileHandle }> {
  for (let n = 0; ; n++) {
    const partPath = `${path}.${process.pid}${n === 0 ? '' : `-${n}`}.part`;
    try {
      return { partPath, handle: await open(partPath, 'wx') };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') throw new ConfigError(`${path}: cannot be written (${message}); choose another place`);
    }
  }
}

/** Begins the file, gives it what `make` makes, and leaves nothing behind when that throws. */
export async function writeOutputFile(path: string, make: () => Promise<Uint8Array>): Promise<void> {
  const file = await beginOutputFile(path);
  try {
    await file.commit(await make());
  } finally {
    await file.discard();
  }
}
