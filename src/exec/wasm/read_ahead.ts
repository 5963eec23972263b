import { assert } from '../../core/errors.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import { type ReadOptions, readTensorBytes } from '../../load/weights.ts';
import type { Arena } from './arena.ts';

/** Bytes that are wanted side by side, and what is done with them once they are in memory. */
export interface Chunk {
  /** One behind the other they fill the chunk: the rows of a merged matrix lie in several tensors. */
  readonly pieces: readonly Piece[];
  /** address: where the bytes lie until this returns. Allocates nothing in the arena. */
  use(address: number): void;
}

export interface Piece {
  readonly info: TensorInfo;
  /** First byte, within the tensor. */
  readonly from: number;
  readonly nBytes: number;
}

/**
 * Reads chunks in their order into two staging buffers in turn, and uses each:
 *
 *   buffer 0   read 0 | use 0 | read 2 | use 2 | ...
 *   buffer 1          | read 1 | use 1 | read 3 | ...
 *
 * So the file is read (on Node by another thread) while the chunk before is packed.
 *
 * staging: addresses of two buffers, each as large as the largest chunk. readOptions: called for each read.
 * Nothing may be allocated in the arena meanwhile: a growing memory detaches what is being read into.
 * Throws what reading and using throw, once no read is under way any more: the buffers can be given back.
 */
export async function readAhead(
  chunks: Iterable<Chunk>,
  staging: readonly [number, number],
  arena: Arena,
  readOptions: () => ReadOptions = () => ({}),
): Promise<void> {
  const iterator = chunks[Symbol.iterator]();
  const start = (address: number): { chunk: Chunk; address: number; done: Promise<void> } | undefined => {
    const next = iterator.next();
    if (next.done === true) return undefined;
    return { chunk: next.value, address, done: readChunk(next.value, address, arena, readOptions) };
  };

  let current = start(staging[0]);
  for (let turn = 1; current !== undefined; turn ^= 1) {
    await current.done;
    const ahead = start(staging[turn as 0 | 1]);
    try {
      current.chunk.use(current.address);
    } catch (error) {
      await ahead?.done.catch(() => {}); // it still writes into its buffer; the first failure is the one to report
      throw error;
    }
    current = ahead;
  }
}

/** Runs `body` with two staging buffers of nBytes each, which go back whatever happens. */
export async function withStaging(
  arena: Arena,
  nBytes: number,
  body: (staging: readonly [number, number]) => Promise<void>,
): Promise<void> {
  const first = arena.alloc(nBytes);
  try {
    const second = arena.alloc(nBytes);
    try {
      await body([first, second]);
    } finally {
      arena.free(second);
    }
  } finally {
    arena.free(first);
  }
}

async function readChunk(chunk: Chunk, address: number, arena: Arena, readOptions: () => ReadOptions): Promise<void> {
  let at = address;
  for (const { info, from, nBytes } of chunk.pieces) {
    const into = arena.bytes(at, nBytes);
    await readTensorBytes(info, from, into, readOptions());
    assert(into.byteLength === nBytes, 'the memory did not grow while a weight was read into it');
    at += nBytes;
  }
}
