import { loadLadderModules } from './ladder_steps.ts';
import type { Contender } from './measure.ts';

/** Operations of one round of `peakF32`: 13 sums x 4 lanes x (one product, one addition). */
const PEAK_ROUND_FLOPS = 104;
const PEAK_ROUNDS = 100_000;
const PEAK_FACTOR = 2 ** -30;

/** Much larger than any cache, small enough to be there beside a model; no power of two, see stream_read.ts. */
export const STREAM_BYTES = 248 * 2 ** 20;

/** What this machine can do at most, as contenders: with `amount`, in GFLOP and GB. */
export interface Ladder {
  readonly peak: Contender & { readonly gflop: number };
  readonly stream: Contender & { readonly gb: number };
}

/** Loads dist/wasm/ladder.wasm with a memory of its own. Throws where it was not built. */
export async function loadLadder(): Promise<Ladder> {
  const { peakF32, streamRead, arena } = await loadLadderModules();
  const first = arena.alloc(STREAM_BYTES);
  // Pages that were never written are all the same page of zeros, and read at the speed of a cache.
  arena.bytes(first, STREAM_BYTES).fill(1);
  return {
    peak: {
      name: 'peak',
      gflop: (PEAK_ROUNDS * PEAK_ROUND_FLOPS) / 1e9,
      run: () => void peakF32(PEAK_ROUNDS, PEAK_FACTOR),
    },
    stream: {
      name: 'stream',
      gb: STREAM_BYTES / 1e9,
      run: () => void streamRead(first, STREAM_BYTES),
    },
  };
}
