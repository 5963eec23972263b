import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { CapacityError, ConfigError, FormatError } from '../../src/core/errors.ts';
import { READ_CHUNK_BYTES, type ThreadHost } from '../../src/core/host.ts';
import { openControl, stopSharing } from '../../src/exec/wasm/shares.ts';
import { createNodeHost, openNodeFolder, openNodeModel } from '../../src/platform/node.ts';
import { openNodeFile, systemError } from '../../src/platform/node_file.ts';

const folder = mkdtempSync(join(tmpdir(), 'glassformer-platform-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 255);
const file = (name: string, content: Uint8Array = bytes): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
/** What the promise throws. */
const failure = async (promise: Promise<unknown>): Promise<Error> => {
  try {
    await promise;
  } catch (e) {
    return e as Error;
  }
  throw new Error('nothing was thrown');
};

/** The collector, which Node shows only when asked. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

describe('openNodeFile', () => {
  test('closes what was forgotten, without a word', async (context) => {
    if (process.platform !== 'linux') context.skip('open files are listed in /proc, which only Linux has');
    const path = file('forgotten');
    const nOpen = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === path;
        } catch {
          return false; // closed since it was listed
        }
      }).length;
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const kept = await openNodeFile(path);
    for (let i = 0; i < 8; i++) await openNodeFile(path);
    expect(nOpen()).toBe(9);
    const collect = collector();
    await vi.waitFor(() => {
      collect();
      expect(nOpen()).toBe(1);
    });
    await kept.read(0, new Uint8Array(10));
    await kept.close();
    expect(nOpen()).toBe(0);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('reads any range, into views at any place', async () => {
    const source = await openNodeFile(file('ranges'));
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.nat(1000), fc.nat(9), async (a, b, skew) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const buffer = new Uint8Array(to - from + skew + 1).fill(99);
        await source.read(from, buffer.subarray(skew, skew + to - from));
        expect([...buffer.subarray(skew, -1)]).toEqual([...bytes.subarray(from, to)]);
        expect([...buffer.subarray(0, skew), buffer.at(-1)].every((x) => x === 99)).toBe(true); // canaries
      }),
    );
    await source.close();
  });

  test('a read of more than one piece is whole', async () => {
    const path = file('long');
    const size = READ_CHUNK_BYTES + 1000;
    truncateSync(path, size); // a hole: no disk is written
    const handle = openSync(path, 'r+');
    for (const at of [READ_CHUNK_BYTES - 1, READ_CHUNK_BYTES, size - 1]) writeSync(handle, Uint8Array.of(77), 0, 1, at);
    closeSync(handle);
    const source = await openNodeFile(path);
    const into = new Uint8Array(size);
    await source.read(0, into);
    await source.close();
    expect(into.reduce((sum, x) => sum + x, 0)).toBe(bytes.reduce((sum, x) => sum + x, 0) + 3 * 77);
    expect([into[READ_CHUNK_BYTES - 1], into[READ_CHUNK_BYTES], into[size - 1]]).toEqual([77, 77, 77]);
  });

  test('refuses what the file does not have, with the offset', async () => {
    const source = await openNodeFile(file('short'));
    for (const [offset, length] of [
      [990, 11],
      [1000, 1],
      [-1, 1],
      [2 ** 53, 1],
      [0.5, 1],
    ] as const) {
      const e = await failure(source.read(offset, new Uint8Array(length)));
      expect(e).toBeInstanceOf(FormatError);
      expect(e.message).toContain('the file has 1000');
    }
    await source.read(1000, new Uint8Array(0));
    await source.close();
  });

  test('a file that shrinks while it is read is a FormatError at its new end', async () => {
    const path = file('shrinks');
    const source = await openNodeFile(path);
    truncateSync(path, 100);
    const e = await failure(source.read(50, new Uint8Array(100)));
    expect(e).toBeInstanceOf(FormatError);
    expect((e as FormatError).offset).toBe(100);
    expect(e.message).toContain('it had 1000 bytes when it was opened');
    await source.close();
  });

  test('a closed file says so, and closing twice is nothing', async () => {
    const source = await openNodeFile(file('closed'));
    await source.close();
    await source.close();
    const e = await failure(source.read(0, new Uint8Array(1)));
    expect(e).toBeInstanceOf(ConfigError);
    expect(e.message).toContain('closed');
  });

  test('closed while it is read: the read ends, and never goes on in the file that gets the number', async () => {
    const path = file('closes');
    const other = file('takes the number');
    for (const each of [path, other]) truncateSync(each, 3 * READ_CHUNK_BYTES); // holes: no disk is written
    const source = await openNodeFile(path);
    const reading = failure(source.read(0, new Uint8Array(3 * READ_CHUNK_BYTES)));
    await source.close();
    const handles = [openSync(other, 'r'), openSync(other, 'r')];
    const e = await reading;
    for (const handle of handles) closeSync(handle);
    expect(e).toBeInstanceOf(ConfigError);
    expect(e.message).toContain('it is closed');
  });

  test('what is no file is refused before it is opened: opening a pipe would wait for a writer', async () => {
    for (const path of [folder, '/dev/null']) {
      const e = await failure(openNodeFile(path));
      expect(e).toBeInstanceOf(ConfigError);
      expect(e.message).toContain('is not a file');
    }
  });

  test('bad paths are ConfigErrors with a next step', async () => {
    const loop = join(folder, 'loop');
    symlinkSync(loop, loop);
    const cases: [path: string, says: string][] = [
      [join(folder, 'nothing'), 'check the path (ENOENT)'],
      [join(file('plain'), 'inside'), 'check the path (ENOTDIR)'],
      [loop, 'give the file itself (ELOOP)'],
      [join(folder, 'x'.repeat(5000)), 'move the file (ENAMETOOLONG)'],
      ['zero\0byte', 'null bytes'],
    ];
    for (const [path, says] of cases) {
      const e = await failure(openNodeFile(path));
      expect(e).toBeInstanceOf(ConfigError);
      expect(e.message).toContain(says);
    }
  });

  // Root may read everything: it steps down for a moment.
  test('a file without permission is a ConfigError that says so', async (context) => {
    if (process.getuid === undefined) context.skip('this system has no user ids');
    const path = join(folder, 'secret');
    writeFileSync(path, 'x', { mode: 0o000 });
    const isRoot = process.getuid!() === 0;
    if (isRoot) process.seteuid!(65534);
    try {
      const e = await failure(openNodeFile(path));
      expect(e).toBeInstanceOf(ConfigError);
      expect(e.message).toMatch(/change its permissions.*EACCES/);
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  });

  test('too many open files is a limit of the machine, not a setting', () => {
    const e = systemError('model', Object.assign(new Error('open'), { code: 'EMFILE' }));
    expect(e).toBeInstanceOf(CapacityError);
    expect(systemError('model', Object.assign(new Error('bad luck'), { code: 'EODD' })).message).toBe(
      'model: bad luck',
    );
  });
});

describe('openNodeModel', () => {
  test('takes a file, a folder, or the word "embedded"', async () => {
    const path = file('model.bin');
    const opened = await openNodeModel(path);
    expect(opened.kind).toBe('file');
    if (opened.kind === 'file') {
      const shard = await opened.folder!.open('model.bin');
      expect(shard?.size).toBe(1000);
      await Promise.all([opened.source.close(), shard!.close()]);
    }
    expect((await openNodeModel(folder)).kind).toBe('folder');
    const embedded = await openNodeModel('embedded');
    if (embedded.kind !== 'file') throw new Error('the embedded model is one file');
    const magic = new Uint8Array(4);
    await embedded.source.read(0, magic);
    expect(new TextDecoder().decode(magic)).toBe('GGUF');
    await embedded.source.close();
  });

  test('what is not there is named, with what may be given', async () => {
    for (const path of ['', join(folder, 'no', 'such'), join(file('leaf'), 'below')]) {
      const e = await failure(openNodeModel(path));
      expect(e).toBeInstanceOf(ConfigError);
      expect(e.message).toContain(`model "${path}": there is no such file or folder`);
    }
  });
});

describe('openNodeFolder', () => {
  test('gives files, null for what is missing or a folder', async () => {
    await mkdir(join(folder, 'sub'), { recursive: true });
    file('config.json');
    const files = openNodeFolder(folder);
    const source = await files.open('config.json');
    expect(source?.size).toBe(1000);
    await source!.close();
    expect(await files.open('missing.json')).toBeNull();
    expect(await files.open('sub')).toBeNull();
  });

  test('no name leads out of the folder', async () => {
    const files = openNodeFolder(folder);
    for (const name of ['../secret', 'a/b', '/etc/passwd', '..', '', 'a\\b']) {
      expect(await failure(files.open(name))).toBeInstanceOf(ConfigError);
    }
  });
});

describe('threads of Node', () => {
  const threads = createNodeHost().threads as ThreadHost;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const start = { modules: [], kernels: [], memory, thread: 1 };

  test('a worker that ends without being told is reported, one that was told is not', async () => {
    const ends: string[] = [];
    const [alone, told] = [openControl(), openControl()];
    await threads.startWorker({ ...start, control: alone.buffer }, (reason) => ends.push(`alone: ${reason}`));
    const worker = await threads.startWorker({ ...start, control: told.buffer }, (reason) => ends.push(reason));
    worker.terminate();
    stopSharing(alone);
    await vi.waitFor(() => expect(ends).toEqual(['alone: exit code 0']), { timeout: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ends).toHaveLength(1);
  });

  test('one that cannot start is an error with its reason', async () => {
    // It imports "a"."b", which nobody has.
    const bytes = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 2, 8, 1, 1, 0x61, 1, 0x62, 3, 0x7f, 0);
    const bad = { ...start, modules: [new WebAssembly.Module(bytes)], control: openControl().buffer };
    expect((await failure(threads.startWorker(bad, () => {}))).message).toMatch(/Import #0|"a"/);
  });
});

describe('createNodeHost', () => {
  test('ships both kernel builds, and switches relaxed SIMD on where the host has it behind a flag', async () => {
    const host = createNodeHost();
    for (const build of ['simd', 'relaxed'] as const) {
      const module = await host.kernelModule(build, 'core');
      expect(module).toBeInstanceOf(Uint8Array);
      expect(WebAssembly.validate(module as Uint8Array<ArrayBuffer>)).toBe(true);
    }
  });

  test('tells what it is, what time it is, and how much memory was used', async () => {
    const host = createNodeHost();
    expect(host.description).toBe(`node ${process.version} ${process.platform}-${process.arch}`);
    const before = host.now();
    await host.pause();
    expect(host.now()).toBeGreaterThanOrEqual(before);
    expect(host.peakMemoryBytes()).toBeGreaterThanOrEqual(process.memoryUsage.rss() / 2);
  });

  test('a pause lets waiting work run', async () => {
    let ran = false;
    setImmediate(() => {
      ran = true;
    });
    await createNodeHost().pause();
    expect(ran).toBe(true);
  });
});
