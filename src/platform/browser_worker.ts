import { serve } from '../exec/wasm/thread_worker.ts';

/** What a worker runs in browsers. Built into dist/wasm/browser_worker.js: one file without imports. */
addEventListener(
  'message',
  ({ data }: MessageEvent) => {
    // A failure becomes the worker's error event, which an ignored rejection would not.
    serve(data, () => postMessage('ready')).catch((e) => setTimeout(() => Promise.reject(e)));
  },
  { once: true },
);
