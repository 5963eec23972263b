import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { ConfigError, FormatError } from '../../core/errors.ts';
import { systemError } from '../node_file.ts';
import type { RepoCache } from './cache.ts';
import type { HubFile, HubServer } from './server.ts';

export interface TransferOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of this file that are there. */
  readonly onBytes?: (doneBytes: number) => void;
  /** A connection on which nothing comes for so long is given up. */
  readonly idleMs: number;
  /** Before another try; doubled each time. */
  readonly retryMs: number;
}

/** Tries that bring no byte. One that brings some is not counted: a long file over a bad line needs many. */
const MAX_VAIN_TRIES = 5;

/**
 * Loads a file into the cache's blobs: goes on where a broken connection, or an ended process, has left it, checks length and
 * hash, and only then gives it its name.
 *
 * Throws FormatError when the bytes are not what the hub says they are (too many, or another hash, even after a start from
 * scratch), ConfigError when the server cannot be reached any more or the disk fails, the signal's reason.
 */
export async function transfer(cache: RepoCache, server: HubServer, file: HubFile, o: TransferOptions): Promise<void> {
  const part = await cache.claim(file.etag);
  try {
    await load(part, server, file, o);
    await cache.publish(part, file.etag);
  } catch (e) {
    await cache.release(part, file.etag);
    throw e;
  }
}

/** Makes `part` the whole file, with the right hash. */
async function load(part: string, server: HubServer, file: HubFile, o: TransferOptions): Promise<void> {
  for (let isSecond = false; ; isSecond = true) {
    const had = await sizeOf(part);
    if (had > file.size) await rm(part, { force: true });
    await fill(part, server, file, o);
    if (await hasRightHash(part, file)) return;
    await rm(part, { force: true });
    // A beginning from an earlier process may have been of something else; a whole file that is wrong stays wrong.
    if (had === 0 || isSecond) {
      throw new FormatError(
        `${file.name}: its ${file.size} bytes do not have the hash ${file.etag} that the hub says; it changed meanwhile or was damaged on the way, try again`,
        0,
      );
    }
  }
}

/** Appends to `part` until it has the file's size. */
async function fill(part: string, server: HubServer, file: HubFile, o: TransferOptions): Promise<void> {
  const handle = await open(part, 'a+').catch((e) => {
    throw systemError(part, e);
  });
  try {
    let done = (await handle.stat()).size;
    let validator: string | null = null;
    for (let nVain = 0; done < file.size; ) {
      o.signal?.throwIfAborted();
      const before = done;
      let said = '';
      try {
        const idle = idleSignal(o);
        try {
          const response = await server.get(file, done, validator, idle.signal);
          done = await startOf(response, handle, file, done);
          const etag = response.headers.get('etag');
          validator = etag?.startsWith('W/') ? null : etag; // If-Range takes strong ones only
          for await (const bytes of response.body ?? []) {
            idle.restart();
            if (done + bytes.length > file.size) {
              throw new FormatError(
                `${file.name}: the server sends more than the ${file.size} bytes that it announced`,
                file.size,
              );
            }
            await write(handle, bytes, part);
            done += bytes.length;
            o.onBytes?.(done);
          }
        } finally {
          idle.stop();
        }
        said = `the connection ended at byte ${done} of ${file.size}`;
      } catch (e) {
        o.signal?.throwIfAborted();
        if (e instanceof FormatError || e instanceof ConfigError) {
          // What was written may be anything: nobody should go on with it.
          if (e instanceof FormatError) await handle.truncate(0);
          throw e;
        }
        said = e instanceof Error && e.cause instanceof Error ? e.cause.message : String(e);
      }
      nVain = done > before ? 0 : nVain + 1;
      if (done < file.size && nVain >= MAX_VAIN_TRIES) {
        throw new ConfigError(
          `${file.name}: gave up after ${nVain} tries in vain (${said}); run it again to go on from byte ${done}`,
        );
      }
      if (done < file.size) await pause(o.retryMs * 2 ** nVain, o.signal);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Looks at an answer's status: where its bytes belong. A server that ignores the range, or whose file is another one by now (If-Range),
 * sends all of it: what was there is dropped. Throws Error where another try may help, ConfigError where it cannot.
 */
async function startOf(response: Response, handle: FileHandle, file: HubFile, done: number): Promise<number> {
  if (response.status === 206) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    if (Number(from) === done && (total === '*' || Number(total) === file.size)) return done;
    await response.body?.cancel();
    await handle.truncate(0);
    throw new FormatError(
      `${file.name}: asked for bytes from ${done} of ${file.size}, the server sends "${response.headers.get('content-range')}"`,
      done,
    );
  }
  if (response.status === 200) {
    await handle.truncate(0);
    return 0;
  }
  await response.body?.cancel();
  const message = `${file.name}: the server answered ${response.status}`;
  if (response.status >= 500 || response.status === 429 || response.status === 408) throw new Error(message);
  throw new ConfigError(`${message}; check the name, and HF_TOKEN where the model is gated`);
}

async function write(handle: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  try {
    await handle.writeFile(bytes);
  } catch (e) {
    throw new ConfigError(`${path}: cannot be written (${(e as Error).message}); make room, or set HF_HUB_CACHE`);
  }
}

/** Large files are named by their SHA-256, others as git names blobs; an etag of another form says nothing about bytes. */
async function hasRightHash(path: string, { etag, size }: HubFile): Promise<boolean> {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) return true;
  const hash = createHash(etag.length === 64 ? 'sha256' : 'sha1');
  if (etag.length === 40) hash.update(`blob ${size}\0`);
  for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  return hash.digest('hex') === etag;
}

/** Aborted by the caller's signal, or when nothing has come for a while. */
function idleSignal({ signal, idleMs }: TransferOptions) {
  const controller = new AbortController();
  const giveUp = (): void => controller.abort(new Error(`nothing came for ${idleMs} ms`));
  const stopWith = (): void => controller.abort(signal!.reason);
  signal?.addEventListener('abort', stopWith, { once: true });
  let timer = setTimeout(giveUp, idleMs);
  return {
    signal: controller.signal,
    restart() {
      clearTimeout(timer);
      timer = setTimeout(giveUp, idleMs);
    },
    stop() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stopWith);
    },
  };
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
