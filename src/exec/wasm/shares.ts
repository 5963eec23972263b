/**
 * One kernel call shared out between threads, in shared memory. All threads read the same job, take shares of it one after
 * the other with an atomic subtraction, and say how many are done: an unevenly busy core only takes fewer shares.
 *
 * A share is a range of units (panels, tokens, heads, elements). It is the whole call with other arguments: each has what one
 * unit adds to it, and one says how many units there are. Units are computed apart from each other, so the bits do not depend
 * on who takes what.
 *
 * This file is all that a worker needs beside thread_worker.ts.
 */

/** Words of the control block that threads wait for; each on a cache line of its own (16 words). */
const REMAINING = 0; // shares that nobody has taken; below zero when several came too late
const DONE = 16; // shares that workers have finished
const SLEEPERS = 32; // workers that wait for WAKE
const WAKE = 48; // counts calls to wake up
const STOPPED = 64; // 1: workers return
const FAILED = 80; // number of the worker whose kernel threw
const MAIN_WAITS = 96; // 1: the main thread waits for DONE

/** Words of the job: written while no share is left, read by those who took one. All of it is few cache lines: each travels. */
const KERNEL = 112;
const N_ARGUMENTS = 113;
const COUNT_AT = 114;
const N_UNITS = 115;
const SHARE_UNITS = 116;
const N_STEPS = 117;
const SCRATCH_AT = 118; // -1: none
const SCRATCH_BYTES = 119;

const WORD_BYTES = 512;
/** Numbers of the job, behind the words: the arguments of the whole call, and pairs of (argument, what a unit adds to it). */
const MOST_ARGUMENTS = 18;
const MOST_STEPS = 5;
const STEPS = MOST_ARGUMENTS;
const CONTROL_BYTES = WORD_BYTES + (MOST_ARGUMENTS + 2 * MOST_STEPS) * Float64Array.BYTES_PER_ELEMENT;

/** A share takes milliseconds. Waits are counted, not seconds, so that a process which was stopped for an hour goes on. */
const WAIT_MS = 100;
const MOST_WAITS = 300;

/** Any kernel: numbers in, everything else happens in memory. */
export type AnyKernel = (...numbers: number[]) => unknown;

/** How a call becomes shares. */
export interface Split {
  /** Which argument is the number of units. */
  readonly countAt: number;
  /** What one unit adds to which arguments: place, step, place, step. */
  readonly steps: readonly number[];
  /** The argument that is the address of scratch memory, of which each thread has nBytes. */
  readonly scratch?: { readonly at: number; readonly nBytes: number };
}

export interface Control {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  /** The arguments of one share: by number of arguments, so that nothing is allocated for each. */
  readonly scratch: readonly number[][];
  readonly patience: Patience;
  /** How long the main thread waits before it looks whether all is well; it gives up after MOST_WAITS times. */
  readonly waitMs: number;
}

/** Views of a control block; a new one without `buffer`. */
export function openControl(buffer = new SharedArrayBuffer(CONTROL_BYTES), waitMs = WAIT_MS): Control {
  return {
    buffer,
    words: new Int32Array(buffer, 0, WORD_BYTES / Int32Array.BYTES_PER_ELEMENT),
    numbers: new Float64Array(buffer, WORD_BYTES),
    scratch: Array.from({ length: MOST_ARGUMENTS + 1 }, (_, n) => new Array<number>(n).fill(0)),
    patience: createPatience(),
    waitMs,
  };
}

/** Takes shares until none is left, and computes them. Gives their number. Throws what a kernel throws. */
function takeShares({ words, numbers, scratch }: Control, kernels: readonly AnyKernel[], thread: number): number {
  let nTaken = 0;
  while (Atomics.load(words, REMAINING) > 0) {
    const share = Atomics.sub(words, REMAINING, 1) - 1;
    if (share < 0) break;
    const from = share * words[SHARE_UNITS]!;
    const n = words[N_ARGUMENTS]!;
    const args = scratch[n]!;
    for (let i = 0; i < n; i++) args[i] = numbers[i]!;
    const endOfSteps = STEPS + words[N_STEPS]!;
    for (let i = STEPS; i < endOfSteps; i += 2) args[numbers[i]!]! += from * numbers[i + 1]!;
    if (words[SCRATCH_AT]! >= 0) args[words[SCRATCH_AT]!]! += thread * words[SCRATCH_BYTES]!;
    args[words[COUNT_AT]!] = Math.min(words[SHARE_UNITS]!, words[N_UNITS]! - from);
    kernels[words[KERNEL]!]!(...args);
    nTaken++;
    if (thread > 0) finishShare(words);
  }
  return nTaken;
}

function finishShare(words: Int32Array): void {
  Atomics.add(words, DONE, 1);
  if (Atomics.load(words, MAIN_WAITS) === 1) Atomics.notify(words, DONE);
}

/** Milliseconds that a thread looks for what it waits for before it sleeps. */
const MOST_PATIENCE = 1;
const LEAST_PATIENCE = 2 ** -8;
const LOOKS_PER_CLOCK = 64;

/**
 * A thread's patience. With a core for each thread looking is best: what is waited for comes in microseconds, and waking a
 * sleeper takes longer than that. On a busy machine threads may have to share a core, and who looks keeps the other one from
 * working. So patience that was in vain is halved, and doubled again when it paid.
 */
export interface Patience {
  /** True as soon as `isThere`, false when patience has run out. */
  spin(isThere: () => boolean): boolean;
}

function createPatience(): Patience {
  let patience = MOST_PATIENCE;
  return {
    spin(isThere) {
      const start = performance.now();
      do {
        for (let i = 0; i < LOOKS_PER_CLOCK; i++) {
          if (isThere()) {
            patience = Math.min(2 * patience, MOST_PATIENCE);
            return true;
          }
        }
      } while (performance.now() - start < patience);
      patience = Math.max(patience / 2, LEAST_PATIENCE);
      return false;
    },
  };
}

/** A worker's life: returns when the pool stops, throws when a kernel does. thread: 1 and up, the main thread is 0. */
export function serveShares(control: Control, kernels: readonly AnyKernel[], thread: number): void {
  const { words, patience } = control;
  const isNeeded = (): boolean => Atomics.load(words, REMAINING) > 0 || Atomics.load(words, STOPPED) !== 0;
  try {
    while (Atomics.load(words, STOPPED) === 0) {
      takeShares(control, kernels, thread);
      if (!patience.spin(isNeeded)) sleep(words);
    }
  } catch (e) {
    Atomics.store(words, FAILED, thread);
    Atomics.notify(words, DONE);
    throw e;
  }
}

/** Until somebody wakes up. All atomics are in one order: either we see the shares here, or their giver sees a sleeper. */
function sleep(words: Int32Array): void {
  const calls = Atomics.load(words, WAKE);
  Atomics.add(words, SLEEPERS, 1);
  if (Atomics.load(words, REMAINING) <= 0 && Atomics.load(words, STOPPED) === 0) Atomics.wait(words, WAKE, calls);
  Atomics.sub(words, SLEEPERS, 1);
}

function wake(words: Int32Array): void {
  Atomics.add(words, WAKE, 1);
  Atomics.notify(words, WAKE);
}

/**
 * Computes a call in shares of `shareUnits` units, on this thread and on those that serve, and returns when all are done.
 * Throws a plain Error when a worker's kernel failed, or when a worker does not finish its share.
 */
export function shareOut(
  control: Control,
  kernels: readonly AnyKernel[],
  kernel: number,
  args: readonly number[],
  { countAt, steps, scratch }: Split,
  shareUnits: number,
): void {
  const { words, numbers } = control;
  const nUnits = args[countAt]!;
  const nShares = Math.ceil(nUnits / shareUnits);
  words[KERNEL] = kernel;
  words[N_ARGUMENTS] = args.length;
  words[COUNT_AT] = countAt;
  words[N_UNITS] = nUnits;
  words[SHARE_UNITS] = shareUnits;
  words[N_STEPS] = steps.length;
  words[SCRATCH_AT] = scratch?.at ?? -1;
  words[SCRATCH_BYTES] = scratch?.nBytes ?? 0;
  for (let i = 0; i < args.length; i++) numbers[i] = args[i]!;
  for (let i = 0; i < steps.length; i++) numbers[STEPS + i] = steps[i]!;
  Atomics.store(words, DONE, 0);
  Atomics.store(words, REMAINING, nShares); // from here on the job belongs to all
  if (Atomics.load(words, SLEEPERS) > 0) wake(words);
  const nOthers = nShares - takeShares(control, kernels, 0);
  if (!control.patience.spin(() => Atomics.load(words, DONE) === nOthers)) waitFor(control, nOthers);
}

function waitFor({ words, waitMs }: Control, nOthers: number): void {
  Atomics.store(words, MAIN_WAITS, 1);
  for (let nWaits = 0; ; ) {
    const done = Atomics.load(words, DONE);
    const failed = Atomics.load(words, FAILED);
    if (failed !== 0) throw new Error(`a kernel failed in worker ${failed}`);
    if (done === nOthers) break;
    nWaits = Atomics.wait(words, DONE, done, waitMs) === 'timed-out' ? nWaits + 1 : 0;
    if (nWaits > MOST_WAITS) throw new Error(`a worker does not answer for ${(MOST_WAITS * waitMs) / 1000} s`);
  }
  Atomics.store(words, MAIN_WAITS, 0);
}

/** Ends all workers that serve. */
export function stopSharing({ words }: Control): void {
  Atomics.store(words, STOPPED, 1);
  wake(words);
}
