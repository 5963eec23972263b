import { ConfigError, FormatError } from '../../core/errors.ts';
import type { Env } from './cache.ts';
import type { HubReference } from './reference.ts';

const DEFAULT_ENDPOINT = 'https://huggingface.co';
const MAX_REDIRECTS = 5;
/** A repository of thousands of files is listed in less. */
const MAX_LIST_BYTES = 1 << 24;
const COMMIT = /^[0-9a-f]{40}$/;

/** The network could not be reached at all: what is in the cache may serve. */
export class Unreachable extends Error {}

export interface HubServer {
  /** The commit of a revision, and its files. Throws ConfigError when there is none or it must not be read. */
  list(reference: HubReference): Promise<{ readonly commit: string; readonly files: readonly string[] }>;
  /** What a file is, without its bytes. */
  describe(repo: string, commit: string, file: string): Promise<HubFile>;
  /** Its bytes from `from` on; `validator`: of the answer that gave the bytes before, if there was one. */
  get(file: HubFile, from: number, validator: string | null, signal: AbortSignal): Promise<Response>;
}

export interface HubFile {
  readonly name: string;
  readonly address: string;
  /** What the hub calls this content: its SHA-256, or what git calls it (SHA-1). */
  readonly etag: string;
  readonly size: number;
}

/** HF_ENDPOINT and HF_TOKEN are those of Hugging Face's own tools. timeoutMs: for an answer that has no body of note. */
export function hubServer(env: Env, signal: AbortSignal | undefined, timeoutMs: number): HubServer {
  const endpoint = (env['HF_ENDPOINT'] || DEFAULT_ENDPOINT).replace(/\/+$/, '');
  const token = env['HF_TOKEN'];
  // fetch drops it where a redirect leads to another host.
  const authorization: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};

  async function ask(address: string, init: RequestInit): Promise<Response> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const signals = [timeout, ...(signal === undefined ? [] : [signal])];
      return await fetch(address, { signal: AbortSignal.any(signals), ...init });
    } catch (e) {
      signal?.throwIfAborted();
      const cause = e instanceof Error && e.cause instanceof Error ? e.cause.message : String(e);
      throw new Unreachable(
        `${address}: cannot be reached (${timeout.aborted ? `no answer in ${timeoutMs} ms` : cause}); check the network and HF_ENDPOINT`,
      );
    }
  }

  return {
    async list({ repo, revision }) {
      const address = `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}`;
      const response = await ask(address, { headers: authorization });
      await checkStatus(response, `hf:${repo}@${revision}`, token !== undefined);
      const answer = await readJson(response, address);
      const { sha, siblings } = answer as { sha?: unknown; siblings?: unknown };
      const files = Array.isArray(siblings)
        ? siblings.map((s) => (s as { rfilename?: unknown } | null)?.rfilename)
        : null;
      if (
        typeof sha !== 'string' ||
        !COMMIT.test(sha) ||
        files === null ||
        !files.every((f) => typeof f === 'string')
      ) {
        throw new FormatError(`${address}: the answer has no commit and list of files; check HF_ENDPOINT`, 0);
      }
      return { commit: sha, files };
    },

    async describe(repo, commit, file) {
      const path = file.split('/').map(encodeURIComponent).join('/');
      let address = `${endpoint}/${repo}/resolve/${commit}/${path}`;
      const first = address;
      // The hub's own redirects are relative; the one to the storage is not, and its headers already say what is needed.
      for (let n = 0; n < MAX_REDIRECTS; n++) {
        const headers = { ...authorization, 'Accept-Encoding': 'identity' };
        const response = await ask(address, { method: 'HEAD', redirect: 'manual', headers });
        const next = response.headers.get('location');
        if (response.status >= 300 && response.status < 400 && next?.startsWith('/') && !next.startsWith('//')) {
          address = new URL(next, address).href;
          continue;
        }
        if (response.status >= 400) await checkStatus(response, `${repo}: ${file}`, token !== undefined);
        const size = Number(response.headers.get('x-linked-size') ?? response.headers.get('content-length') ?? NaN);
        const etag = plainEtag(response.headers.get('x-linked-etag') ?? response.headers.get('etag'));
        if (etag === null || !Number.isSafeInteger(size) || size < 0) {
          throw new FormatError(`${address}: the answer has no etag and size, so the file cannot be checked`, 0);
        }
        return { name: file, address: first, etag, size };
      }
      throw new FormatError(`${first}: more than ${MAX_REDIRECTS} redirects`, 0);
    },

    get({ address }, from, validator, given) {
      const headers: Record<string, string> = { ...authorization, 'Accept-Encoding': 'identity' };
      if (from > 0) headers['Range'] = `bytes=${from}-`;
      if (from > 0 && validator !== null) headers['If-Range'] = validator;
      return fetch(address, { signal: given, headers });
    },
  };
}

async function checkStatus(response: Response, what: string, hasToken: boolean): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  const { status } = response;
  const next =
    status === 401 || status === 403
      ? hasToken
        ? 'HF_TOKEN does not give access to it'
        : 'it is private or gated: set HF_TOKEN'
      : status === 404
        ? 'check the name'
        : 'try again later';
  throw new ConfigError(`${what}: the hub answered ${status}; ${next}`);
}

/** The body as JSON, read up to a limit. */
async function readJson(response: Response, address: string): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let nBytes = 0;
  for await (const part of response.body ?? []) {
    nBytes += part.length;
    if (nBytes > MAX_LIST_BYTES) throw new FormatError(`${address}: the answer is beyond ${MAX_LIST_BYTES} bytes`, 0);
    parts.push(part);
  }
  try {
    return (JSON.parse(Buffer.concat(parts).toString('utf8')) ?? {}) as unknown;
  } catch {
    throw new FormatError(`${address}: the answer is not JSON; check HF_ENDPOINT`, 0);
  }
}

/** Without quotes and weakness; null for one that is no file name. */
function plainEtag(etag: string | null): string | null {
  const plain = /^(?:W\/)?"?([\w-]+)"?$/.exec(etag ?? '')?.[1];
  return plain ?? null;
}
