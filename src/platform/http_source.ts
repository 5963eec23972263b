import { ConfigError, FormatError } from '../core/errors.ts';
import { type ByteSource, bufferSource, type SourceFolder } from '../core/host.ts';
import type { ModelSource } from '../engine/model_source.ts';
import { bodyOf, fetchAny, fetchOk } from './web_fetch.ts';
import { checkRange } from './web_source.ts';

/** Bytes fetched at a time where less is asked for: many small tensors lie side by side, and each request costs a round trip. */
const READ_AHEAD_BYTES = 1 << 22;

/**
 * A model at an address: a file, with the shards beside it, or a folder where the address ends with "/".
 * Throws ConfigError when the address is none, or does not answer.
 */
export async function openHttpModel(address: string | URL, signal?: AbortSignal): Promise<ModelSource> {
  const url = absolute(address);
  const isHttp = url.protocol === 'http:' || url.protocol === 'https:';
  const folder = isHttp ? httpFolder(new URL('.', url), signal) : undefined;
  if (folder !== undefined && url.pathname.endsWith('/')) return { kind: 'folder', folder };
  const source = await openHttpSource(url, signal);
  if (source === null) throw new ConfigError(`${url}: the server answered 404; check the address`);
  // Nothing lies beside what a blob: or data: address holds.
  return folder === undefined ? { kind: 'file', source } : { kind: 'file', source, folder };
}

/**
 * The file at an address; null when there is none (404).
 *
 * Where the server can send parts, parts are fetched as they are read, so that the weights of a model are not in memory twice.
 * Else (status 200, or no Content-Range that this page may see) the file is fetched whole.
 * Throws ConfigError when the server does not answer or answers otherwise.
 */
export async function openHttpSource(url: URL, signal?: AbortSignal): Promise<ByteSource | null> {
  const first = await fetchAny(url, { signal, range: { from: 0, to: 1 } });
  const size = first.status === 206 ? totalOf(first) : null;
  if (size !== null) {
    await first.body?.cancel();
    return rangedSource(url, size, first.headers.get('ETag'), signal);
  }
  if (first.status === 200) return bufferSource(url.href, await bodyOf(first, url, { signal }));
  await first.body?.cancel();
  if (first.status === 404) return null;
  // 206 without a size, 416 for an empty file: a server that does not say enough about parts. Ask for everything.
  const whole = await fetchOk(url, { signal });
  if (whole.status === 206) {
    await whole.body?.cancel();
    throw new ConfigError(`${url}: the server answered 206 and a part of the file to a request for all of it`);
  }
  return bufferSource(url.href, await bodyOf(whole, url, { signal }));
}

/** Reads by Range requests, READ_AHEAD_BYTES or more at a time. */
function rangedSource(url: URL, size: number, etag: string | null, signal: AbortSignal | undefined): ByteSource {
  const name = url.href;
  let window = { from: 0, bytes: new Uint8Array(0) };

  const fetchPart = async (from: number, to: number): Promise<Uint8Array<ArrayBuffer>> => {
    const response = await fetchOk(url, { signal, range: { from, to } });
    const isSame = response.status === 206 && totalOf(response) === size && response.headers.get('ETag') === etag;
    if (!isSame) {
      await response.body?.cancel();
      throw new FormatError(`${name}: the file at this address changed while it was read; load it again`, from);
    }
    const bytes = await bodyOf(response, url, { signal });
    if (bytes.byteLength === to - from) return bytes;
    throw new FormatError(`${name}: asked for ${to - from} bytes, the server sent ${bytes.byteLength}`, from);
  };

  return {
    name,
    size,
    async read(offset, into) {
      const end = offset + into.byteLength;
      checkRange({ name, size }, offset, into.byteLength);
      if (into.byteLength === 0) return;
      if (offset < window.from || end > window.from + window.bytes.byteLength) {
        const to = Math.min(size, Math.max(end, offset + READ_AHEAD_BYTES));
        const part = { from: offset, bytes: await fetchPart(offset, to) };
        // A large read passes through and is not kept: its end is no start of another.
        if (into.byteLength >= READ_AHEAD_BYTES) return into.set(part.bytes);
        window = part;
      }
      into.set(window.bytes.subarray(offset - window.from, end - window.from));
    },
    async close() {
      window = { from: 0, bytes: new Uint8Array(0) };
    },
  };
}

function httpFolder(base: URL, signal: AbortSignal | undefined): SourceFolder {
  const within = (name: string, end = ''): URL => {
    // An escaped name has no "/", so only these three lead elsewhere.
    if (name === '' || name === '.' || name === '..') {
      throw new ConfigError(`${base}: "${name}" is not a plain file name; a model's files lie in one folder`);
    }
    return new URL(`${encodeURIComponent(name)}${end}`, base);
  };
  return {
    name: base.href,
    open: async (fileName) => openHttpSource(within(fileName), signal),
    folder: (folderName) => httpFolder(within(folderName, '/'), signal),
  };
}

/** The N of "Content-Range: bytes 0-0/N"; null where it is missing, "*", or hidden from this page. */
function totalOf(response: Response): number | null {
  const total = /^bytes \d+-\d+\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1];
  return total !== undefined && Number.isSafeInteger(Number(total)) ? Number(total) : null;
}

/** Relative addresses start from the page or worker, as fetch has it. */
function absolute(address: string | URL): URL {
  try {
    return new URL(address, globalThis.location?.href);
  } catch {
    throw new ConfigError(`"${address}": is not an address; give one such as "/models/model.gguf"`);
  }
}
