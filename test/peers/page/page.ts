import { idsOf, lettersOf, MAX_SEQ, MODEL, type PageEngine, type PageOptions } from './page_engine.ts';

/** The page in which all engines run; the program outside opens them by name and calls them. */

/** What is used of wllama 2: tokens in, one call a run. */
interface Wllama2 {
  loadModel(blobs: Blob[], options: object): Promise<void>;
  kvClear(): Promise<void>;
  decode(ids: readonly number[], options: object): Promise<unknown>;
}

/** What is used of wllama 3: a server's completions, with its own timings. */
interface Wllama3 {
  loadModel(blobs: Blob[], options: object): Promise<void>;
  createCompletion(options: object): Promise<{ readonly timings?: Timings }>;
}

interface Timings {
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
}

const engines = new Map<string, PageEngine>();

const peers = {
  async open(options: PageOptions): Promise<void> {
    const { engine, threads } = options;
    const opened =
      engine === 'glassformer'
        ? await openGlassformer(threads)
        : engine === 'wllama-2'
          ? await openWllama2(threads)
          : await openWllama3(engine, threads);
    engines.set(`${engine} ${threads}`, opened);
  },
  prefill: ({ engine, threads }: PageOptions, nTokens: number) => engines.get(`${engine} ${threads}`)!.prefill(nTokens),
  prepare: ({ engine, threads }: PageOptions, nTokens: number) => engines.get(`${engine} ${threads}`)!.prepare(nTokens),
  decode: ({ engine, threads }: PageOptions, nTokens: number) => engines.get(`${engine} ${threads}`)!.decode(nTokens),
};
Object.assign(globalThis, { peers });

async function openGlassformer(threads: number): Promise<PageEngine> {
  const worker = new Worker('/glassformer_worker.mjs', { type: 'module' });
  const ask = (message: object): Promise<number> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<{ ms: number } | { error: string }>) =>
        'error' in data ? reject(new Error(data.error)) : resolve(data.ms);
      worker.onerror = (e) => reject(new Error(`worker: ${e.message}`));
      worker.postMessage(message);
    });
  await ask({ open: { threads } });
  return {
    prefill: (nTokens) => ask({ prefill: nTokens }),
    prepare: async (nTokens) => void (await ask({ prepare: nTokens })),
    decode: (nTokens) => ask({ decode: nTokens }),
  };
}

async function modelBlob(): Promise<Blob> {
  return (await fetch(MODEL)).blob();
}

/** Settings of both wllamas; with a warm-up at loading, which costs nothing that is timed. */
function settings(threads: number): object {
  return { n_ctx: MAX_SEQ, n_batch: MAX_SEQ, n_threads: threads, n_gpu_layers: 0, flash_attn: false };
}

async function openWllama2(threads: number): Promise<PageEngine> {
  const { Wllama } = (await import('/wllama-2/index.js' as string)) as { Wllama: new (paths: object) => Wllama2 };
  const wllama = new Wllama({
    'single-thread/wllama.wasm': '/wllama-2/single-thread/wllama.wasm',
    'multi-thread/wllama.wasm': '/wllama-2/multi-thread/wllama.wasm',
  });
  await wllama.loadModel([await modelBlob()], settings(threads));
  return {
    async prefill(nTokens) {
      await wllama.kvClear();
      const start = performance.now();
      await wllama.decode(idsOf(lettersOf(nTokens, 0)), {});
      return performance.now() - start;
    },
    async prepare(nTokens) {
      await wllama.kvClear();
      await wllama.decode(idsOf(lettersOf(nTokens, 0)), {});
    },
    async decode(nTokens) {
      const ids = idsOf(lettersOf(nTokens, 0));
      const start = performance.now();
      for (const id of ids) await wllama.decode([id], {});
      return performance.now() - start;
    },
  };
}

async function openWllama3(name: string, threads: number): Promise<PageEngine> {
  const { Wllama } = (await import(`/${name}/index.js` as string)) as { Wllama: new (paths: object) => Wllama3 };
  const wllama = new Wllama({ default: `/${name}/wasm/wllama.wasm` });
  await wllama.loadModel([await modelBlob()], settings(threads));
  let salt = 0;
  let after = 0;
  const complete = async (nPrompt: number, nTokens: number): Promise<Timings> => {
    salt++;
    const prompt = lettersOf(nPrompt, salt);
    const { timings } = await wllama.createCompletion({
      prompt,
      max_tokens: nTokens,
      temperature: 0,
      cache_prompt: false,
    });
    if (timings === undefined) throw new Error(`${name}: told no timings`);
    if (timings.prompt_n < nPrompt || timings.predicted_n < nTokens / 2) {
      throw new Error(
        `${name}: ran ${timings.prompt_n} and ${timings.predicted_n} tokens, asked for ${nPrompt} and ${nTokens}`,
      );
    }
    return timings;
  };
  return {
    async prefill(nTokens) {
      const { prompt_ms, prompt_n } = await complete(nTokens, 1);
      return (prompt_ms / prompt_n) * nTokens;
    },
    // A completion is prompt and answer in one; the times of both are told apart.
    async prepare(nTokens) {
      after = nTokens;
    },
    async decode(nTokens) {
      const { predicted_ms, predicted_n } = await complete(after, nTokens);
      return (predicted_ms / predicted_n) * nTokens;
    },
  };
}
