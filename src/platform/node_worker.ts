import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../exec/wasm/thread_worker.ts';

/** What a worker runs on Node, Deno and Bun. Built into dist/wasm/node_worker.js, since not every Node loads TypeScript there. */
await serve(workerData, () => parentPort!.postMessage('ready'));
