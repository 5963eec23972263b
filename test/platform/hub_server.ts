import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How the server treats one request for a file's bytes, in the order of such requests; then it behaves. */
export type Trick =
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'stall'; readonly afterBytes: number }
  | { readonly kind: 'ignore range' }
  | { readonly kind: 'more bytes' }
  | { readonly kind: 'wrong range' }
  | { readonly kind: 'wrong bytes' }
  | { readonly kind: 'status'; readonly status: number };

export interface HubFiles {
  readonly [name: string]: Uint8Array;
}

export interface FakeHub {
  readonly endpoint: string;
  /** "GET config.json", "GET model.gguf bytes=100- if \"x\"", "HEAD ...", "LIST main". */
  readonly requests: string[];
  /** What a file is from now on. */
  files: HubFiles;
  tricks: Trick[];
  /** Of the HEAD answer, where it is not the truth. */
  size: number | null;
  /** Not to be shown without this token. */
  token: string | null;
  commit: string;
  close(): Promise<void>;
}

export const COMMIT = `${'c0ffee'.repeat(6)}c0ff`;
const SMALL = 100;

/** As the hub: small files are named as git names them, larger ones by their SHA-256. */
export function etagOf(bytes: Uint8Array): string {
  if (bytes.length >= SMALL) return createHash('sha256').update(bytes).digest('hex');
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** A hub with one repository, owner/repo, on this machine. */
export async function startHub(files: HubFiles): Promise<FakeHub> {
  const hub: Omit<FakeHub, 'endpoint' | 'close'> & { endpoint: string; close(): Promise<void> } = {
    endpoint: '',
    requests: [],
    files,
    tricks: [],
    size: null,
    token: null,
    commit: COMMIT,
    close: async () => {},
  };
  const server = createServer((request, response) => answer(hub, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  hub.close = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return hub;
}

function answer(hub: FakeHub, request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url!, hub.endpoint);
  if (hub.token !== null && request.headers.authorization !== `Bearer ${hub.token}`) {
    response.writeHead(401).end();
    return;
  }
  const listed = /^\/api\/models\/owner\/repo\/revision\/(.+)$/.exec(pathname);
  if (listed !== null) {
    hub.requests.push(`LIST ${decodeURIComponent(listed[1]!)}`);
    const siblings = Object.keys(hub.files).map((rfilename) => ({ rfilename }));
    response.end(JSON.stringify({ sha: hub.commit, siblings }));
    return;
  }
  const [, commit, path] = /^\/owner\/repo\/resolve\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
  const name = decodeURIComponent(path ?? '');
  const bytes = hub.files[name];
  if (commit !== hub.commit || bytes === undefined) {
    response.writeHead(404).end();
    return;
  }
  const etag = `"${etagOf(bytes)}"`;
  if (request.method === 'HEAD') {
    hub.requests.push(`HEAD ${name}`);
    const size = hub.size ?? bytes.length;
    if (bytes.length < SMALL) response.writeHead(200, { ETag: etag, 'Content-Length': size }).end();
    else
      response
        .writeHead(302, { 'X-Linked-Etag': etag, 'X-Linked-Size': size, Location: 'http://other.invalid/' })
        .end();
    return;
  }
  const { range, 'if-range': ifRange } = request.headers;
  hub.requests.push(
    `GET ${name}${range === undefined ? '' : ` ${range}`}${ifRange === undefined ? '' : ` if ${String(ifRange)}`}`,
  );
  sendBytes(hub.tricks.shift(), bytes, etag, range, ifRange as string | undefined, response);
}

function sendBytes(
  trick: Trick | undefined,
  bytes: Uint8Array,
  etag: string,
  range: string | undefined,
  ifRange: string | undefined,
  response: ServerResponse,
): void {
  const asked = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const isPart = asked > 0 && trick?.kind !== 'ignore range' && (ifRange === undefined || ifRange === etag);
  const from = isPart ? asked : 0;
  const body = trick?.kind === 'wrong bytes' ? bytes.map((b) => b ^ 1) : bytes;
  const headers: Record<string, string> = { ETag: etag };
  if (isPart) {
    const first = trick?.kind === 'wrong range' ? from + 1 : from;
    headers['Content-Range'] = `bytes ${first}-${bytes.length - 1}/${bytes.length}`;
  }
  if (trick?.kind === 'status') {
    response.writeHead(trick.status).end();
    return;
  }
  if (trick?.kind === 'more bytes') {
    response.writeHead(200, headers);
    response.end(Buffer.concat([body, body]));
    return;
  }
  response.writeHead(isPart ? 206 : 200, { ...headers, 'Content-Length': String(bytes.length - from) });
  if (trick?.kind === 'cut' || trick?.kind === 'stall') {
    response.write(body.subarray(from, from + trick.afterBytes), () => {
      // A moment, so that the bytes are not lost with the connection.
      if (trick.kind === 'cut') setTimeout(() => response.destroy(), 20);
    });
    return;
  }
  response.end(body.subarray(from));
}
