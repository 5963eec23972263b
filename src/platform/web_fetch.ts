import { ConfigError } from '../core/errors.ts';

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes [from, to) only; a server may send everything all the same. */
  readonly range?: { readonly from: number; readonly to: number };
  /** What the reader of an error may do. */
  readonly next?: string;
}

/**
 * The server's answer, whose status is 200 or 206.
 * Throws ConfigError for any other one and where there is no answer; the signal's reason when it is aborted.
 */
export async function fetchOk(address: string | URL, options: FetchOptions = {}): Promise<Response> {
  const response = await fetchAny(address, options);
  if (response.ok) return response;
  await response.body?.cancel();
  throw new ConfigError(`${address}: the server answered ${response.status}; ${options.next ?? 'check the address'}`);
}

/** As fetchOk, whatever the status. */
export async function fetchAny(address: string | URL, options: FetchOptions = {}): Promise<Response> {
  const { signal, range } = options;
  const headers: Record<string, string> = range === undefined ? {} : { Range: `bytes=${range.from}-${range.to - 1}` };
  return orConfigError(address, options, () => fetch(address, { signal: signal ?? null, headers }));
}

/** All bytes of an answer. Throws as fetchOk, when the connection breaks too. */
export async function bodyOf(response: Response, address: string | URL, options: FetchOptions = {}) {
  return new Uint8Array(await orConfigError(address, options, () => response.arrayBuffer()));
}

/** All bytes at an address. Throws as fetchOk. */
export async function fetchBytes(address: string | URL, options: FetchOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  return bodyOf(await fetchOk(address, options), address, options);
}

/** fetch tells a broken network, a refused connection and a forbidden origin all as one TypeError. */
async function orConfigError<T>(
  address: string | URL,
  { signal, next }: FetchOptions,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    signal?.throwIfAborted();
    const said = cause instanceof Error ? cause.message : String(cause);
    const step = next ?? 'check the address, the network, and that the server allows this page (CORS)';
    throw new ConfigError(`${address}: cannot be fetched (${said}); ${step}`, { cause });
  }
}
