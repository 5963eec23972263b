import type { DType } from '../../core/dtype.ts';
import type { Arena } from './arena.ts';
import type { DotForm, LinearQ8 } from './kernels.ts';
import { linearScratchBytes, packedBytes, panelCount, quantizedRowsBytes } from './layout.ts';

/** The two kernels of a format, and what they are tried with. */
export interface DotTrial {
  readonly dtype: DType;
  readonly pairs: LinearQ8;
  readonly quads: LinearQ8;
  readonly quantizeRowsQ8: (q: number, x: number, xStride: number, nTokens: number, nIn: number) => void;
  readonly arena: Arena;
}

/**
 * A matrix that the first-level cache holds, and counts of tokens: together they go through every function of the kernels that takes products.
 * Two panels are read side by side, one is left, and one has 8 rows of 16; tokens are one, fewer than a group, few and many.
 */
const N_OUT = 56;
const N_IN = 512;
const TOKENS = [1, 3, 4, 12] as const;

/** A measurement repeats calls until they take this long, or (where the clock stands still) are this many. */
const SAMPLE_MS = 0.08;
const MAX_CALLS = 1024;
/** A round takes the least of some short times: other programs take the processor in between. */
const ROUND_SAMPLES = 8;
/** Quads must be that much faster; where they are one instruction they take four fifths of the time or less. */
const FASTER_BY = 0.92;
/**
 * Rounds go on until they have agreed for so long, and end without agreement as `pairs`. A compiler that optimizes what has run does so
 * when it gets to it, one kernel before the other: V8's optimized quads against pairs that still wait for it look like one
 * instruction against two (0.63 and 0.79 us a call where both optimized are 0.63 and 0.43).
 */
const AGREE_MS = 24;
const MOST_MS = 150;

/** The form to run. now: milliseconds; a host without a clock that moves gets `pairs`, as does one that gets quads wrong. */
export function chooseDotForm(trial: DotTrial, now: () => number): DotForm {
  if (!quadsAreRight(trial)) return 'pairs';
  return withOperands(trial, (run) => {
    const time = (kernel: LinearQ8, nCalls: number): number => {
      const start = now();
      for (let i = 0; i < nCalls; i++) run(kernel, 1);
      return now() - start;
    };
    // Both run as often from the start, so that a compiler that optimizes what has run does the same for both.
    let nCalls = 8;
    while (nCalls < MAX_CALLS && time(trial.pairs, nCalls) + time(trial.quads, nCalls) < 2 * SAMPLE_MS) nCalls *= 2;
    const round = (): DotForm | undefined => {
      let [pairs, quads] = [Infinity, Infinity];
      for (let i = 0; i < ROUND_SAMPLES; i++) {
        pairs = Math.min(pairs, time(trial.pairs, nCalls));
        quads = Math.min(quads, time(trial.quads, nCalls));
      }
      if (pairs === 0) return undefined; // no clock to measure with
      return quads < FASTER_BY * pairs ? 'quads' : 'pairs';
    };

    const start = now();
    let agreed: DotForm | undefined;
    for (let since = start, at = start; at - start < MOST_MS; ) {
      const form = round();
      if (form === undefined) break;
      if (form !== agreed) since = at;
      agreed = form;
      at = now();
      if (at - since >= AGREE_MS) return agreed;
    }
    return 'pairs';
  });
}

/**
 * Whether quads give what pairs give. V8 11.3 (Node 20) has relaxed SIMD behind a flag, and its first compiler, through which a function's first
 * calls go, loses the sum that products are added to when nothing else needs its register. Functions are optimized one by one, and the code of a
 * module outlives a model: so one that is right says nothing of the others, and all are asked.
 */
export function quadsAreRight(trial: DotTrial): boolean {
  return withOperands(trial, (run) =>
    TOKENS.every((nTokens) => {
      const [pairs, quads] = [run(trial.pairs, nTokens).slice(), run(trial.quads, nTokens).slice()];
      return pairs.every((bits, i) => bits === quads[i]);
    }),
  );
}

/** Runs a kernel on some tokens; gives the bits of all outputs, which the next run overwrites. */
type Run = (kernel: LinearQ8, nTokens: number) => Int32Array;

function withOperands<R>({ dtype, quantizeRowsQ8, arena }: DotTrial, use: (run: Run) => R): R {
  const most = Math.max(...TOKENS);
  const w = arena.alloc(packedBytes(dtype, N_OUT, N_IN));
  const x = arena.alloc(most * N_IN * Float32Array.BYTES_PER_ELEMENT);
  const q = arena.alloc(quantizedRowsBytes('relaxed', most, N_IN));
  const y = arena.alloc(most * N_OUT * Float32Array.BYTES_PER_ELEMENT);
  const scratch = arena.alloc(linearScratchBytes(dtype, N_IN));
  try {
    // Any bytes are codes; these are ordinary scales too.
    const bytes = arena.bytes(w, packedBytes(dtype, N_OUT, N_IN));
    for (let i = 0; i < bytes.length; i++) bytes[i] = 0x20 + ((i * 37) % 29);
    const values = arena.f32(x, most * N_IN);
    for (let i = 0; i < values.length; i++) values[i] = ((i * 37) % 61) - 30.5;
    let quantized = 0;
    return use((kernel, nTokens) => {
      if (quantized !== nTokens) quantizeRowsQ8(q, x, N_IN, nTokens, N_IN);
      quantized = nTokens;
      kernel(y, N_OUT, q, nTokens, N_IN, w, N_OUT, 0, panelCount(dtype, N_OUT), scratch);
      return arena.i32(y, nTokens * N_OUT);
    });
  } finally {
    for (const address of [scratch, y, q, x, w]) arena.free(address);
  }
}
