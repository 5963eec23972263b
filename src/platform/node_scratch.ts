import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CapacityError, ConfigError, FormatError } from '../core/errors.ts';
import type { ScratchFile, ScratchFiles } from '../core/host.ts';

/** What a system says when there is no room for more. */
const NO_ROOM = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/**
 * Files of this process alone, in a new folder of `folder` (the system's place for temporary files unless said), readable by
 * nobody else. Where the system lets go of the name of an open file it goes at once, so that nothing is left behind even by a
 * crash; elsewhere when the file is closed.
 */
export function nodeScratchFiles(folder: string = tmpdir()): ScratchFiles {
  return {
    create() {
      let path: string;
      let file: number;
      try {
        path = join(mkdtempSync(join(folder, 'glassformer-')), 'pages');
        file = openSync(path, 'wx+', 0o600);
      } catch (e) {
        throw new ConfigError(
          `scratch file in ${folder}: ${(e as Error).message}; set TMPDIR to a folder that can be written`,
        );
      }
      const isGone = remove(path);
      return openScratch(file, path, () => {
        if (!isGone) remove(path);
      });
    },
  };
}

function openScratch(file: number, path: string, whenClosed: () => void): ScratchFile {
  let isOpen = true;
  return {
    name: path,
    write(offset, bytes) {
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, offset + at);
      } catch (e) {
        const { code, message } = e as NodeJS.ErrnoException;
        if (code === undefined || !NO_ROOM.includes(code)) throw new ConfigError(`scratch file ${path}: ${message}`);
        throw new CapacityError(
          `scratch file ${path}: no room for ${bytes.length} bytes (${code}); make room on the disk`,
        );
      }
    },
    read(offset, into) {
      for (let at = 0; at < into.length; ) {
        const n = readSync(file, into, at, into.length - at, offset + at);
        if (n === 0) {
          throw new FormatError(`scratch file ${path}: ends at ${fstatSync(file).size}, it was cut short`, offset + at);
        }
        at += n;
      }
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      closeSync(file);
      whenClosed();
    },
  };
}

/** The file and its folder; false where an open file cannot be removed. */
function remove(path: string): boolean {
  try {
    rmSync(dirname(path), { recursive: true });
    return true;
  } catch {
    return false;
  }
}
