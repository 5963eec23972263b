import { KernelError } from '../../core/errors.ts';
import type { HostWorker, ThreadHost, WorkerStart } from '../../core/host.ts';
import { type AnyKernel, openControl, shareOut, stopSharing } from './shares.ts';
import type { CallSplit } from './splits.ts';

/** Workers that take shares of kernel calls. The main thread computes too. */
export interface ThreadPool {
  /** The main thread and its workers. */
  readonly nThreads: number;
  /** Throws KernelError when a worker has ended or failed: its shares would be waited for. */
  check(): void;
  /**
   * Computes a call on all threads. kernel: its place in the list that the pool was started with.
   * False when the call is too small to be shared: then nothing was computed. Throws KernelError when a worker fails.
   */
  share(kernel: number, args: readonly number[], split: CallSplit): boolean;
  dispose(): void;
}

/**
 * A share is about this much work: shorter ones read memory more slowly (a reader that starts anew is not read ahead for), longer
 * ones leave more to wait for at the end.
 */
export const SHARE_NS = 10_000;
/** Half of a call must be worth the microsecond or two that giving it out takes: in shares. */
const LEAST_CALL = 0.6;
/** More shares than threads, so that a thread which is slow, or late, takes fewer. */
const SHARES_PER_THREAD = 4;

/**
 * Starts nThreads - 1 workers. kernels: the main thread's own, in the order of start.kernels. shareNs: what a share is worth.
 * Throws what the host says when one cannot start; then none is left.
 */
export async function startThreadPool(
  host: ThreadHost,
  nThreads: number,
  kernels: readonly AnyKernel[],
  start: Omit<WorkerStart, 'control' | 'thread'>,
  shareNs = SHARE_NS,
): Promise<ThreadPool> {
  const control = openControl();
  let failure: string | undefined;
  const workers: HostWorker[] = [];
  const dispose = (): void => {
    stopSharing(control);
    for (const worker of workers) worker.terminate();
  };
  const started = await Promise.allSettled(
    Array.from({ length: nThreads - 1 }, async (_, i) => {
      const thread = i + 1;
      const onEnd = (reason: string): void => {
        failure ??= `worker ${thread} ended: ${reason}`;
      };
      workers.push(await host.startWorker({ ...start, control: control.buffer, thread }, onEnd));
    }),
  );
  for (const result of started) {
    if (result.status === 'fulfilled') continue;
    dispose();
    throw result.reason;
  }

  const check = (): void => {
    if (failure !== undefined)
      throw new KernelError(`threads: ${failure}; load the model again, or run it on 1 thread`);
  };
  return {
    nThreads,
    check,
    share(kernel, args, split) {
      const shareUnits = sizeOfShares(args[split.countAt]!, nThreads, split, shareNs);
      if (shareUnits === 0) return false;
      try {
        shareOut(control, kernels, kernel, args, split, shareUnits);
      } catch (e) {
        failure ??= (e as Error).message;
        check();
      }
      return true;
    },
    dispose,
  };
}

/**
 * Units of one share, 0 when the call is not worth sharing: of several counts of shares the one after which all threads end
 * soonest, if all are equally fast.
 */
export function sizeOfShares(
  nUnits: number,
  nThreads: number,
  { grain, unitNs }: Pick<CallSplit, 'grain' | 'unitNs'>,
  shareNs = SHARE_NS,
): number {
  const worth = (nUnits * unitNs) / shareNs;
  const nGrains = Math.ceil(nUnits / grain);
  const most = Math.min(nGrains, Math.max(2, Math.floor(worth)), nThreads * SHARES_PER_THREAD);
  if (worth < LEAST_CALL || most < 2) return 0;
  let best = Math.ceil(nGrains / most);
  for (let nShares = nThreads; nShares <= most; nShares += nThreads) {
    const size = Math.ceil(nGrains / nShares);
    if (grainsInARow(nGrains, size, nThreads) <= grainsInARow(nGrains, best, nThreads)) best = size;
  }
  return best * grain;
}

/** What the busiest of equally fast threads computes, in grains. */
function grainsInARow(nGrains: number, size: number, nThreads: number): number {
  return size * Math.ceil(Math.ceil(nGrains / size) / nThreads);
}
