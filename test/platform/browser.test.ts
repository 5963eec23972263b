import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import type { ThreadHost } from '../../src/core/host.ts';
import {
  type BrowserModel,
  createBrowserHost,
  type KernelLocation,
  openBrowserModel,
} from '../../src/platform/browser.ts';
import { packagedKernels } from '../../src/platform/packaged_kernels.ts';
import { ROOT } from '../support/fixtures.ts';

/** The web platform's side runs on Node too: fetch, Blob and MessageChannel are the same there. */

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
/** Larger than what is read ahead, so that reads pass it by. */
const large = new Uint8Array(9_000_000).map((_, i) => i & 255);
const coreFile = join(ROOT, 'dist/wasm/simd/core.wasm');

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const requests: string[] = [];

/** A file with Range support, as any static server has it. */
const ranged =
  (bytes: () => Uint8Array, etag: () => string = () => '"1"'): Answer =>
  (request, response) => {
    const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const all = bytes();
    if (asked === null) return void response.writeHead(200, { ETag: etag() }).end(all);
    const from = Number(asked[1]);
    const to = Math.min(Number(asked[2]) + 1, all.length);
    response.writeHead(206, { 'Content-Range': `bytes ${from}-${to - 1}/${all.length}`, ETag: etag() });
    response.end(all.subarray(from, to));
  };

let version = 1;
const answers: Record<string, Answer> = {
  '/file': ranged(() => content),
  '/large': ranged(() => large),
  '/whole': (_, response) => response.writeHead(200).end(content),
  '/hidden': (_, response) => response.writeHead(206).end(content.subarray(0, 1)),
  '/empty': (request, response) => response.writeHead(request.headers.range === undefined ? 200 : 416).end(),
  '/broken': (_, response) => response.writeHead(500).end('sorry'),
  '/cut': (_, response) => {
    response.writeHead(200, { 'Content-Length': '1000' });
    response.write(content.subarray(0, 10), () => response.destroy());
  },
  '/edited': ranged(
    () => content,
    () => `"${version}"`,
  ),
  '/folder/config.json': ranged(() => content.subarray(0, 10)),
  '/wasm/simd/core.wasm': (_, response) => response.writeHead(200).end(readFileSync(coreFile)),
};
const server = createServer((request, response) => {
  requests.push(`${request.url} ${request.headers.range ?? ''}`);
  const answer = answers[request.url ?? ''];
  if (answer === undefined) response.writeHead(404).end();
  else answer(request, response);
});
let base = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const failure = async (promise: Promise<unknown>): Promise<Error> => {
  try {
    await promise;
  } catch (e) {
    return e as Error;
  }
  throw new Error('nothing was thrown');
};
const openFile = async (model: BrowserModel, signal?: AbortSignal) => {
  const opened = await openBrowserModel(model, signal);
  if (opened.kind !== 'file') throw new Error('a file was opened');
  return opened.source;
};

describe('openBrowserModel', () => {
  /** Each way in has the same bytes. */
  const WAYS: Record<string, () => BrowserModel> = {
    'an ArrayBuffer': () => content.slice().buffer,
    'a Uint8Array': () => content,
    'a Uint8Array inside a larger buffer': () =>
      Buffer.concat([large.subarray(0, 3), content, large.subarray(0, 5)]).subarray(3, -5),
    'a Blob': () => new Blob([content]),
    'a File': () => new File([content], 'model.gguf'),
    'an address with parts': () => `${base}/file`,
    'a URL': () => new URL(`${base}/file`),
    'an address without parts': () => `${base}/whole`,
    'an address that hides the size': () =>
      `data:application/octet-stream;base64,${Buffer.from(content).toString('base64')}`,
  };

  test.each(Object.keys(WAYS))('%s: any range has its bytes, others are FormatErrors', async (way) => {
    const source = await openFile(WAYS[way]!());
    expect(source.size).toBe(content.length);
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length), fc.nat(content.length), async (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const into = new Uint8Array(to - from);
        await source.read(from, into);
        expect(Buffer.compare(into, content.subarray(from, to))).toBe(0);
      }),
      { numRuns: 20 },
    );
    for (const [offset, length] of [
      [content.length, 1],
      [-1, 1],
      [0, content.length + 1],
    ] as const) {
      expect(await failure(source.read(offset, new Uint8Array(length)))).toBeInstanceOf(FormatError);
    }
    await source.close();
  });

  test('small reads side by side cost one request, a large one is asked for as it is', async () => {
    const source = await openFile(`${base}/large`);
    requests.length = 0;
    for (let at = 0; at < 4000; at += 40) await source.read(at, new Uint8Array(40));
    expect(requests).toEqual(['/large bytes=0-4194303']);
    const into = new Uint8Array(5_000_000);
    await source.read(1_000_000, into);
    expect(requests.slice(1)).toEqual(['/large bytes=1000000-5999999']);
    const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    expect(sha(into)).toBe(sha(large.subarray(1_000_000, 6_000_000)));
    await source.close();
  });

  test('a file that is replaced while it is read is a FormatError', async () => {
    const source = await openFile(`${base}/edited`);
    version++;
    const e = await failure(source.read(0, new Uint8Array(10)));
    expect(e).toBeInstanceOf(FormatError);
    expect(e.message).toContain('changed while it was read');
  });

  test('an empty file is a source of 0 bytes', async () => {
    expect((await openFile(`${base}/empty`)).size).toBe(0);
  });

  test('servers that do not answer with the file are ConfigErrors that name the address', async () => {
    const cases: [address: string, says: string][] = [
      [`${base}/missing`, 'the server answered 404'],
      [`${base}/broken`, 'the server answered 500'],
      [`${base}/hidden`, 'the server answered 206 and'],
      [`${base}/cut`, 'cannot be fetched'],
      ['http://127.0.0.1:1/model.gguf', 'cannot be fetched'],
      ['not an address', 'is not an address'],
    ];
    for (const [address, says] of cases) {
      const e = await failure(openFile(address));
      expect(e, address).toBeInstanceOf(ConfigError);
      expect(e.message).toContain(address);
      expect(e.message).toContain(says);
    }
  });

  test('an aborted load throws the reason of its signal', async () => {
    const reason = new Error('the page was left');
    expect(await failure(openFile(`${base}/file`, AbortSignal.abort(reason)))).toBe(reason);
    const controller = new AbortController();
    const source = await openFile(`${base}/file`, controller.signal);
    controller.abort(reason);
    expect(await failure(source.read(0, new Uint8Array(1)))).toBe(reason);
  });

  test('an address that ends with "/" and a Map are folders', async () => {
    for (const model of [`${base}/folder/`, new Map([['config.json', new Blob([content.subarray(0, 10)])]])]) {
      const opened = await openBrowserModel(model);
      if (opened.kind !== 'folder') throw new Error('a folder was opened');
      expect((await opened.folder.open('config.json'))?.size).toBe(10);
      expect(await opened.folder.open('missing.json')).toBeNull();
    }
  });

  test('a name cannot lead out of a folder of addresses', async () => {
    const opened = await openBrowserModel(`${base}/folder/`);
    requests.length = 0;
    expect(await opened.folder!.open('../file')).toBeNull();
    expect(requests).toEqual(['/folder/..%2Ffile bytes=0-0']);
    for (const name of ['..', '.', '']) expect(await failure(opened.folder!.open(name))).toBeInstanceOf(ConfigError);
  });

  test('anything else is refused by its type', async () => {
    for (const [model, type] of [
      [null, 'null'],
      [undefined, 'undefined'],
      [7, 'number'],
      [{}, 'object'],
    ] as const) {
      const e = await failure(openBrowserModel(model as unknown as BrowserModel));
      expect(e).toBeInstanceOf(ConfigError);
      expect(e.message).toContain(`model is ${type}`);
    }
  });
});

describe('createBrowserHost', () => {
  test('kernels come from a folder, an address, as bytes, or compiled; what was not given is null', async () => {
    const bytes = new Uint8Array(readFileSync(coreFile));
    const module = new WebAssembly.Module(bytes);
    const coreOf = (at: KernelLocation) => createBrowserHost(at).kernelModule('simd', 'core');
    for (const folder of [`${base}/wasm`, `${base}/wasm/`, new URL(`${base}/wasm/`)]) {
      expect(await coreOf(folder)).toEqual(bytes);
    }
    expect(await coreOf({ simd: { core: `${base}/wasm/simd/core.wasm` } })).toEqual(bytes);
    expect(await coreOf({ simd: { core: bytes } })).toBe(bytes);
    expect(await coreOf({ simd: { core: bytes.buffer } })).toEqual(bytes);
    expect(await coreOf({ simd: { core: module } })).toBe(module);
    const host = createBrowserHost({ simd: { core: module } });
    expect(await host.kernelModule('simd', 'q4_0')).toBeNull();
    expect(await host.kernelModule('relaxed', 'core')).toBeNull();
  });

  test('the addresses of the packaged kernels lead to every module', () => {
    for (const build of ['simd', 'relaxed'] as const) {
      for (const [name, url] of Object.entries(packagedKernels()[build])) {
        expect(url.href).toMatch(new RegExp(`/dist/wasm/${build}/${name}\\.wasm$`));
        expect(existsSync(fileURLToPath(url)), url.href).toBe(true);
      }
    }
  });

  test('kernels that are not served are a ConfigError that says where they may be', async () => {
    const e = await failure(createBrowserHost(`${base}/gone`).kernelModule('simd', 'core'));
    expect(e).toBeInstanceOf(ConfigError);
    expect(e.message).toContain('kernelFiles');
  });

  test('threads need workers, an isolated page, and leave to wait; their worker is fetched from where the kernels are', async () => {
    const started: string[] = [];
    class FakeWorker {
      onmessage: (() => void) | null = null;
      onerror: ((e: { message: string }) => void) | null = null;
      constructor(url: string | URL) {
        started.push(`${url}`);
      }
      postMessage({ thread }: { thread: number }): void {
        queueMicrotask(() => (thread === 1 ? this.onmessage?.() : this.onerror?.({ message: '' })));
      }
      terminate(): void {
        started.push('ended');
      }
    }
    const threadsOf = (at?: KernelLocation) => createBrowserHost(at).threads;
    expect(threadsOf()).toBe('this host has no workers');
    vi.stubGlobal('Worker', FakeWorker);
    expect(threadsOf()).toMatch(/not cross-origin isolated .*COOP.*COEP/);
    vi.stubGlobal('crossOriginIsolated', true);
    const forbidden = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new TypeError('not here');
    });
    expect(threadsOf()).toMatch(/page itself may not wait/);
    forbidden.mockRestore();
    const start = {
      modules: [],
      kernels: [],
      memory: new WebAssembly.Memory({ initial: 0 }),
      control: new SharedArrayBuffer(8),
    };
    for (const [at, url] of [
      ['/wasm', '/wasm/browser_worker.js'],
      [{ simd: {}, worker: '/w.js' }, '/w.js'],
      [undefined, new URL('../../dist/wasm/browser_worker.js', import.meta.url).href],
    ] as const) {
      const threads = threadsOf(at) as ThreadHost;
      const ends: string[] = [];
      (await threads.startWorker({ ...start, thread: 1 }, (reason) => ends.push(reason))).terminate();
      expect(started.splice(0)).toEqual([url, 'ended']);
      const e = await failure(threads.startWorker({ ...start, thread: 2 }, (reason) => ends.push(reason)));
      expect(e.message).toMatch(/cannot be loaded$/);
      started.length = 0;
    }
    vi.unstubAllGlobals();
  });

  test('a pause lets messages and timers run, and the clock goes on', async () => {
    const host = createBrowserHost('');
    let ran = false;
    setTimeout(() => {
      ran = true;
    });
    const before = host.now();
    while (!ran) await host.pause();
    expect(host.now()).toBeGreaterThan(before);
    expect(host.peakMemoryBytes()).toBeNull();
  });

  test('a host without MessageChannel pauses by a timer', async () => {
    vi.stubGlobal('MessageChannel', undefined);
    await createBrowserHost('').pause();
    vi.unstubAllGlobals();
  });
});
