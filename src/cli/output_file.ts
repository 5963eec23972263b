import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { ConfigError } from '../core/errors.ts';

/** A file that is there whole or not at all. */
export interface OutputFile {
  /** Writes everything and gives the file its name. */
  commit(bytes: Uint8Array): Promise<void>;
  /** Removes what was begun; nothing after a commit. */
  discard(): Promise<void>;
}

/**
 * Begins a file under a temporary name beside `path`. Called before the work whose result it takes, so that a folder that
 * cannot be written is known at once. An older file stays until the new one is complete.
 * Throws ConfigError when the folder is missing or must not be written.
 */
export async function beginOutputFile(path: string): Promise<OutputFile> {
  const partPath = `${path}.${process.pid}.part`;
  let handle: FileHandle | undefined;
  try {
    handle = await open(partPath, 'w');
  } catch (error) {
    throw new ConfigError(`${path}: cannot be written (${(error as Error).message}); choose another place`);
  }
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close();
    isOpen = false;
  };
  return {
    async commit(bytes) {
      await handle.writeFile(bytes);
      await close();
      await rename(partPath, path);
    },
    async discard() {
      await close();
      await rm(partPath, { force: true });
    },
  };
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
