import { assert } from '../../core/errors.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import { type ReadOptions, readTensorBytes } from '../../load/weights.ts';
import type { Arena } from './arena.ts';

/** Bytes that are wanted side by side, and what is done with them once they are in memory. */
export interface Chunk {
  /** One behind the other they fill the chunk: the rows of a merged matrix lie in several tensors. */
  readonly pieces: readonly Piece[];
  /** Where they are read to: room for all of them that nothing else uses meanwhile, such as the place of what they become. */
  readonly at: number;
  /** address: where a copy of the bytes lies until this returns. Allocates nothing in the arena. */
  use(address: number): void;
}

export interface Piece {
  readonly info: TensorInfo;
  /** First byte, within the tensor. */
  readonly from: number;
  readonly nBytes: number;
}

/** Reads under way while a chunk is packed: with one the packing waits for it, with more than three nothing is gained. */
const READS_AHEAD = 3;

/**
 * Reads chunks in their order, each to its place, and uses a copy of each:
 *
 *   this thread      |        | use 0  | use 1  | ...
 *   those that read  | read 0 | read 1 | read 2 | ...
 *   (on Node)        | read 1 | read 2 | read 3 | ...
 *
 * So the file is read while the chunk before is packed. Packing overwrites the place, so it takes the bytes from a copy that is small
 * enough to stay near the processor. Why not read into that buffer: memory that is touched for the first time is given out page
 * by page, which takes as long as packing does, and this way the reading threads wait for it.
 *
 * staging: address of the copy, as large as the largest chunk. readOptions: called for each read.
 * Nothing may be allocated in the arena meanwhile: a growing memory detaches what is being read into.
 * Throws what reading and using throw, once no read is under way any more: the memory can be given back.
 */
export async function readAhead(
  chunks: Iterable<Chunk>,
  staging: number,
  arena: Arena,
  readOptions: () => ReadOptions = () => ({}),
): Promise<void> {
  const iterator = chunks[Symbol.iterator]();
  const reads: { readonly chunk: Chunk; readonly done: Promise<number> }[] = [];
  const start = (): void => {
    const next = iterator.next();
    if (next.done === true) return;
    const done = readChunk(next.value, arena, readOptions);
    done.catch(() => {}); // one that fails before it is waited for has not gone unseen
    reads.push({ chunk: next.value, done });
  };

  for (let i = 0; i < READS_AHEAD; i++) start();
  try {
    for (let read = reads.shift(); read !== undefined; read = reads.shift()) {
      const nBytes = await read.done;
      start();
      arena.bytes(staging, nBytes).set(arena.bytes(read.chunk.at, nBytes));
      read.chunk.use(staging);
    }
  } catch (error) {
    await Promise.allSettled(reads.map(({ done }) => done)); // they still write; the first failure is the one to report
    throw error;
  }
}

/** Runs `body` with a staging buffer of nBytes, which goes back whatever happens. */
export async function withStaging(
  arena: Arena,
  nBytes: number,
  body: (staging: number) => Promise<void>,
): Promise<void> {
  const staging = arena.alloc(nBytes);
  try {
    await body(staging);
  } finally {
    arena.free(staging);
  }
}

/** Gives the bytes that were read. */
async function readChunk(chunk: Chunk, arena: Arena, readOptions: () => ReadOptions): Promise<number> {
  let at = chunk.at;
  for (const { info, from, nBytes } of chunk.pieces) {
    const into = arena.bytes(at, nBytes);
    await readTensorBytes(info, from, into, readOptions());
    assert(into.byteLength === nBytes, 'the memory did not grow while a weight was read into it');
    at += nBytes;
  }
  return at - chunk.at;
}
