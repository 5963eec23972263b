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

/** A share is worth at least this: starting one costs some tenths of a microsecond, and the last to finish is waited for. */
export const SHARE_NS = 3000;
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

/** Units of one share, 0 when there would be fewer than two worth their while. */
export function sizeOfShares(
  nUnits: number,
  nThreads: number,
  { grain, unitNs }: Pick<CallSplit, 'grain' | 'unitNs'>,
  shareNs = SHARE_NS,
): number {
  const worth = Math.floor((nUnits * unitNs) / shareNs);
  const nShares = Math.min(Math.ceil(nUnits / grain), worth, nThreads * SHARES_PER_THREAD);
  if (nShares < 2) return 0;
  // As many for each thread, where there are so many.
  const even = nShares < nThreads ? nShares : nShares - (nShares % nThreads);
  return Math.ceil(nUnits / even / grain) * grain;
}
