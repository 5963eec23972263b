import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FormatError } from '../../../src/core/errors.ts';
import { type ByteSource, bufferSource } from '../../../src/core/host.ts';
import { type Arena, createArena, createMemory } from '../../../src/exec/wasm/arena.ts';
import { type Chunk, readAhead, withStaging } from '../../../src/exec/wasm/read_ahead.ts';
import type { TensorInfo } from '../../../src/load/model_file.ts';
import { openNodeFile } from '../../../src/platform/node_file.ts';

/** A tensor of bytes that is a whole source. */
function tensorOf(source: ByteSource): TensorInfo {
  return { name: source.name, type: 'i8', shape: [source.size], source, offset: 0, nBytes: source.size };
}

function bytesOf(n: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: n }, (_, i) => (i * 31 + seed * 17) & 255);
}

/** Reads that take several turns, and write into their buffer only at their end, as a file's do. */
function slowSource(name: string, bytes: Uint8Array, turns: number): ByteSource {
  const source = bufferSource(name, bytes);
  return {
    ...source,
    async read(offset, into) {
      for (let i = 0; i < turns; i++) await null;
      await source.read(offset, into);
    },
  };
}

const newArena = (): Arena => createArena(createMemory(), 0);

const cases = fc.record({
  sizes: fc.array(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }), { maxLength: 8 }),
  turns: fc.nat(3),
});

/** Every chunk is used once, in order, and holds the bytes of its pieces. */
const inOrder = (read: typeof readAhead) =>
  fc.asyncProperty(cases, async ({ sizes, turns }) => {
    const arena = newArena();
    const places = arena.alloc(120 * Math.max(1, sizes.length));
    const used: number[][] = [];
    const wanted: number[][] = [];
    const chunks = sizes.map((ofPieces, i): Chunk => {
      const nBytes = ofPieces.reduce((a, b) => a + b, 0);
      const pieces = ofPieces.map((n, j) => {
        const bytes = bytesOf(n + 2, i * 3 + j);
        return { info: tensorOf(slowSource(`${i}.${j}`, bytes, turns)), from: 2, nBytes: n, bytes };
      });
      wanted.push(pieces.flatMap((piece) => [...piece.bytes.subarray(2)]));
      // What the bytes become takes their place.
      const use = (address: number): void => {
        used.push([...arena.bytes(address, nBytes)]);
        arena.bytes(places + 120 * i, nBytes).fill(0);
      };
      return { pieces, at: places + 120 * i, use };
    });
    await withStaging(arena, 120, (staging) => read(chunks, staging, arena));
    expect(used).toEqual(wanted);
    arena.free(places);
    expect(arena.bytesInUse).toBe(0);
  });

test('chunks are used in order, with the bytes of their pieces', () => fc.assert(inOrder(readAhead)));

test('and mutants that use a place before it is read, or read into the copy in use, are caught', async () => {
  const mutants: Record<string, typeof readAhead> = {
    'one place for all': (chunks, staging, arena) =>
      readAhead(
        [...chunks].map((chunk, _, all) => ({ ...chunk, at: all[0]!.at })),
        staging,
        arena,
      ),
    'the copy is the place': (chunks, staging, arena) =>
      readAhead(
        [...chunks].map((chunk) => ({ ...chunk, at: staging })),
        staging,
        arena,
      ),
  };
  for (const [name, mutant] of Object.entries(mutants)) {
    expect((await fc.check(inOrder(mutant), { seed: 1, endOnFailure: true })).failed, name).toBe(true);
  }
});

test('the next chunks are being read while one is used', async () => {
  const arena = newArena();
  const at = arena.alloc(8);
  const log: string[] = [];
  const chunk = (name: string): Chunk => {
    const source = bufferSource(name, bytesOf(8, 1));
    const read: ByteSource['read'] = (offset, into) => {
      log.push(`read ${name}`);
      return source.read(offset, into);
    };
    return {
      pieces: [{ info: tensorOf({ ...source, read }), from: 0, nBytes: 8 }],
      at,
      use: () => void log.push(`use ${name}`),
    };
  };
  await withStaging(arena, 8, (staging) => readAhead(['a', 'b', 'c', 'd'].map(chunk), staging, arena));
  expect(log).toEqual(['read a', 'read b', 'read c', 'read d', 'use a', 'use b', 'use c', 'use d']);
});

test('a failure waits for the read under way, which still writes into its buffer', async () => {
  const arena = newArena();
  const at = arena.alloc(16);
  let isReading = false;
  const source: ByteSource = {
    ...bufferSource('late', bytesOf(8, 1)),
    async read() {
      isReading = true;
      await new Promise((resolve) => setTimeout(resolve, 1));
      isReading = false;
      throw new Error('of the second read');
    },
  };
  const good: Chunk = {
    pieces: [{ info: tensorOf(bufferSource('good', bytesOf(8, 1))), from: 0, nBytes: 8 }],
    at,
    use: () => {
      throw new Error('of the first use');
    },
  };
  const late: Chunk = { pieces: [{ info: tensorOf(source), from: 0, nBytes: 8 }], at: at + 8, use: () => {} };
  const load = withStaging(arena, 8, (staging) => readAhead([good, late], staging, arena));
  await expect(load).rejects.toThrow('of the first use');
  expect(isReading).toBe(false);
  arena.free(at);
  expect(arena.bytesInUse).toBe(0);
});

test('a source that shrinks, and a signal in the middle, end the reading and give the buffers back', async () => {
  const arena = newArena();
  const places = arena.alloc(100);
  const whole = bytesOf(100, 1);
  let size = 100;
  const shrinking: ByteSource = {
    ...bufferSource('shrinking', whole),
    read: (offset, into) => bufferSource('shrinking', whole.subarray(0, size)).read(offset, into),
  };
  const info = tensorOf(shrinking);
  let nUsed = 0;
  const chunksOf = (onUse: () => void): Chunk[] =>
    Array.from({ length: 10 }, (_, i) => ({
      pieces: [{ info, from: 10 * i, nBytes: 10 }],
      at: places + 10 * i,
      use: () => {
        nUsed++;
        onUse();
      },
    }));
  const shrunk = chunksOf(() => {
    size = 55;
  });
  const load = (chunks: Chunk[], signal?: AbortSignal): Promise<void> =>
    withStaging(arena, 10, (staging) => readAhead(chunks, staging, arena, () => ({ signal })));
  await expect(load(shrunk)).rejects.toThrow(FormatError);
  expect(nUsed).toBe(5);

  size = 100;
  nUsed = 0;
  const stop = new AbortController();
  const aborted = chunksOf(() => {
    if (nUsed === 3) stop.abort(new Error('stopped'));
  });
  await expect(load(aborted, stop.signal)).rejects.toThrow('stopped');
  expect(nUsed).toBe(5); // the two whose reads had ended by then are used
  arena.free(places);
  expect(arena.bytesInUse).toBe(0);
});

test('a file is read into shared memory, where threads will want it', async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
  const arena = createArena(memory, 0);
  const source = await openNodeFile(fileURLToPath(import.meta.url));
  const wanted = new Uint8Array(await readFile(new URL(import.meta.url)));
  const got: number[] = [];
  const places = arena.alloc(source.size);
  const chunks = Array.from({ length: Math.ceil(source.size / 1000) }, (_, i): Chunk => {
    const nBytes = Math.min(1000, source.size - 1000 * i);
    const use = (address: number): void => void got.push(...arena.bytes(address, nBytes));
    return { pieces: [{ info: tensorOf(source), from: 1000 * i, nBytes }], at: places + 1000 * i, use };
  });
  await withStaging(arena, 1000, (staging) => readAhead(chunks, staging, arena));
  await source.close();
  expect(Uint8Array.from(got)).toEqual(wanted);
});
