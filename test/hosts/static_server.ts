import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

export interface StaticServer {
  readonly address: string;
  /** "path range" of every request so far. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Serves a folder on 127.0.0.1 as any static server does, parts of files included. */
export async function serveFolder(root: string): Promise<StaticServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
    const file = join(root, normalize(path));
    requests.push(`${path} ${request.headers.range ?? ''}`.trim());
    if (!existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end();
    // The page is cross-origin isolated: then it may share memory between threads.
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    const bytes = readFileSync(file);
    const headers = { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' };
    const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (asked === null) return void response.writeHead(200, headers).end(bytes);
    const from = Number(asked[1]);
    const part = bytes.subarray(from, Number(asked[2]) + 1);
    const range = `bytes ${from}-${from + part.length - 1}/${bytes.length}`;
    response.writeHead(206, { ...headers, 'Content-Range': range }).end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
