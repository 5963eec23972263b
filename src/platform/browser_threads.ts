import type { HostWorker, ThreadHost, WorkerStart } from '../core/host.ts';

/** Threads of a browser, or why there are none: shared memory is for isolated pages, and only workers may wait for others. */
export function browserThreads(workerFile: () => string | URL | undefined): ThreadHost | string {
  if (typeof Worker === 'undefined') return 'this host has no workers';
  if (typeof SharedArrayBuffer === 'undefined' || !globalThis.crossOriginIsolated) {
    return 'the page is not cross-origin isolated (serve it with the headers COOP: same-origin and COEP: require-corp)';
  }
  if (!mayWait()) return 'a page itself may not wait for workers (load the model in a worker)';
  return {
    available: globalThis.navigator?.hardwareConcurrency ?? 1,
    startWorker: (start, onEnd) => startWorker(workerFile(), start, onEnd),
  };
}

/** Atomics.wait throws where it is forbidden; here it has nothing to wait for. */
function mayWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

function startWorker(
  file: string | URL | undefined,
  start: WorkerStart,
  onEnd: (reason: string) => void,
): Promise<HostWorker> {
  return new Promise((resolve, reject) => {
    // Bundlers find and copy the packaged file by exactly this text.
    const worker =
      file === undefined
        ? new Worker(new URL('../../dist/wasm/browser_worker.js', import.meta.url), { type: 'module' })
        : new Worker(file, { type: 'module' });
    worker.onerror = (e) => {
      const reason = e.message || `${file ?? 'browser_worker.js'} cannot be loaded`;
      reject(new Error(reason)); // of no effect once it is ready
      onEnd(reason);
    };
    worker.onmessage = () => resolve({ terminate: () => worker.terminate() });
    worker.postMessage(start);
  });
}
