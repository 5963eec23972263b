import { close, closeSync, fstat, open, read } from 'node:fs';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { CapacityError, ConfigError, FormatError, type GlassformerError } from '../core/errors.ts';
import { type ByteSource, READ_CHUNK_BYTES } from '../core/host.ts';

/** Numbers, and not FileHandles: from Node 26 on, a handle that is collected before it was closed ends the process. */
const [openFile, statFile, readFile, closeFile] = [
  promisify(open),
  promisify(fstat),
  promisify(read),
  promisify(close),
];
/** Files of sources that were forgotten, closed when the source is collected. */
const FORGOTTEN = new FinalizationRegistry<number>((file) => closeSync(file));

/**
 * A file as a source. A single read may be short, so it goes on until the buffer is full.
 *
 * Throws ConfigError when there is no such file, it is no file (a pipe would be waited for), or it cannot be read.
 * `read` throws FormatError when the bytes are not there (any more), ConfigError when the disk fails or the source is closed, also
 * while it reads.
 */
export async function openNodeFile(path: string): Promise<ByteSource> {
  const file = await openChecked(path);
  let isClosed = false;
  let size: number;
  try {
    size = (await statFile(file)).size;
  } catch (e) {
    await closeFile(file);
    throw systemError(path, e);
  }
  /** Under way. The number of a closed file is the next one's to be opened, which a late read would then read. */
  const reading = new Set<Promise<number>>();
  const readSome = async (into: Uint8Array, at: number, length: number, position: number): Promise<number> => {
    if (isClosed) throw closedError(path);
    const got = readOnce(file, path, into, at, length, position);
    reading.add(got);
    try {
      return await got;
    } finally {
      reading.delete(got);
    }
  };
  const source: ByteSource = {
    name: path,
    size,
    async read(offset, into) {
      const end = offset + into.byteLength;
      if (isClosed) throw closedError(path);
      if (!Number.isSafeInteger(offset) || offset < 0 || end > size) {
        throw new FormatError(`${path}: needs bytes ${offset} to ${end}, the file has ${size}`, offset);
      }
      for (let done = 0; done < into.byteLength; ) {
        // Node refuses to read 2 GiB in one call, and an aborted load should not wait for that much.
        const want = Math.min(into.byteLength - done, READ_CHUNK_BYTES);
        const got = await readSome(into, done, want, offset + done);
        if (got === 0) {
          throw new FormatError(
            `${path}: needs bytes ${offset} to ${end}, the file now ends at ${offset + done}; it had ${size} bytes when it was opened; load it again when nothing writes to it`,
            offset + done,
          );
        }
        done += got;
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      FORGOTTEN.unregister(source);
      await Promise.allSettled(reading);
      await closeFile(file);
    },
  };
  FORGOTTEN.register(source, file, source);
  return source;
}

async function openChecked(path: string): Promise<number> {
  try {
    if ((await stat(path)).isFile()) return await openFile(path, 'r');
  } catch (e) {
    throw systemError(path, e);
  }
  throw new ConfigError(`${path}: is a folder, a pipe or another thing that is not a file; give the path of a file`);
}

function closedError(path: string): ConfigError {
  return new ConfigError(`${path}: it is closed; open the model again`);
}

async function readOnce(
  file: number,
  path: string,
  into: Uint8Array,
  at: number,
  length: number,
  position: number,
): Promise<number> {
  try {
    return (await readFile(file, into, at, length, position)).bytesRead;
  } catch (e) {
    throw systemError(`${path}, byte ${position}`, e);
  }
}

/** Next steps for what systems answer most often; others are shown as they are. */
const NEXT_STEPS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the path',
  ENOTDIR: 'a part of the path is no folder; check the path',
  EACCES: 'you may not read it; change its permissions, or run as another user',
  EPERM: 'you may not read it; change its permissions, or run as another user',
  EISDIR: 'it is a folder; give a file in it',
  ELOOP: 'its links lead in a circle; give the file itself',
  ENAMETOOLONG: 'the name is longer than the system allows; move the file',
  EBADF: 'it is closed; open the model again',
  EIO: 'the disk, or the network folder, failed; copy the file and try again',
};

/** What a system call answered as one of the six errors: a setting to be changed, or a limit of the machine. */
export function systemError(what: string, cause: unknown): GlassformerError {
  const code = codeOf(cause);
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new CapacityError(`${what}: too many files are open (${code}); raise the limit ("ulimit -n")`, { cause });
  }
  const step = code === null ? undefined : NEXT_STEPS[code];
  const said = cause instanceof Error ? cause.message : String(cause);
  return new ConfigError(`${what}: ${step === undefined ? said : `${step} (${code})`}`, { cause });
}

/** True for answers that mean: there is nothing at this path. */
export function isMissing(e: unknown): boolean {
  const code = codeOf(e);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function codeOf(e: unknown): string | null {
  return e instanceof Error && 'code' in e && typeof e.code === 'string' ? e.code : null;
}
