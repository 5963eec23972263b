import { readFileSync } from 'node:fs';
import { createMemory } from '../../src/exec/wasm/arena.ts';
import type { Contender } from './measure.ts';

/** The exports of kernels/ladder/index.ts. */
interface LadderExports {
  peakF32(nRounds: number, factor: number): number;
  streamRead(from: number, nBytes: number): number;
}

/** Operations of one round of `peakF32`: 13 sums x 4 lanes x (one product, one addition). */
const PEAK_ROUND_FLOPS = 104;
const PEAK_ROUNDS = 100_000;
const PEAK_FACTOR = 2 ** -30;

/** Much larger than any cache, small enough to be there beside a model; no power of two, see stream_read.ts. */
const STREAM_BYTES = 248 * 2 ** 20;

/** What this machine can do at most, as contenders: with `amount`, in GFLOP and GB. */
export interface Ladder {
  readonly peak: Contender & { readonly gflop: number };
  readonly stream: Contender & { readonly gb: number };
}

/** Loads dist/wasm/ladder.wasm with a memory of its own. Throws where it was not built. */
export async function loadLadder(): Promise<Ladder> {
  const memory = createMemory();
  const first = memory.buffer.byteLength;
  memory.grow(STREAM_BYTES / 2 ** 16);
  const bytes = readFileSync(new URL('../../dist/wasm/ladder.wasm', import.meta.url));
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const ladder = instance.exports as unknown as LadderExports;
  // Pages that were never written are all the same page of zeros, and read at the speed of a cache.
  new Uint8Array(memory.buffer, first).fill(1);
  return {
    peak: {
      name: 'peak',
      gflop: (PEAK_ROUNDS * PEAK_ROUND_FLOPS) / 1e9,
      run: () => void ladder.peakF32(PEAK_ROUNDS, PEAK_FACTOR),
    },
    stream: {
      name: 'stream',
      gb: STREAM_BYTES / 1e9,
      run: () => void ladder.streamRead(first, STREAM_BYTES),
    },
  };
}
