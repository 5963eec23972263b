import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { HostWorker, ThreadHost, WorkerStart } from '../core/host.ts';

/** The address is the same from src/platform and from dist/platform. */
const WORKER = new URL('../../dist/wasm/node_worker.js', import.meta.url);

/** Threads of Node, and of hosts that have its modules. */
export function createNodeThreads(): ThreadHost {
  return { available: availableParallelism(), startWorker };
}

function startWorker(start: WorkerStart, onEnd: (reason: string) => void): Promise<HostWorker> {
  return new Promise((resolve, reject) => {
    // No flags of this process: what loads TypeScript here is of no use there, and takes long to start.
    const worker = new Worker(WORKER, { workerData: start, execArgv: [] });
    let hasAnswered = false;
    let isTold = false;
    const end = (reason: string): void => {
      if (!hasAnswered) reject(new Error(reason));
      else if (!isTold) onEnd(reason);
    };
    worker.once('error', (e) => end(e instanceof Error ? e.message : String(e)));
    worker.once('exit', (code) => end(`exit code ${code}`));
    worker.once('message', () => {
      hasAnswered = true;
      worker.unref(); // a program that forgets its model ends all the same
      resolve({
        terminate() {
          isTold = true;
          void worker.terminate();
        },
      });
    });
  });
}
