import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { answerCalls } from './answer.ts';

/** What is used of node-llama-cpp: declared here, since the package may not be installed. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: object): Promise<{ readonly _ctx: AddonContext; getSequence(): Sequence }>;
    }>;
  }>;
}

interface Sequence {
  clearHistory(): Promise<void>;
  controlledEvaluate(
    input: readonly (number | [id: number, options: { generateNext: { logits: true } }])[],
  ): Promise<readonly (undefined | { readonly next: { readonly logits: ReadonlyMap<number, number> } })[]>;
}

/**
 * The binding under its context: tokens in, one run of llama.cpp's graph, and no sampling, which the package's own methods
 * would add to every token.
 */
interface AddonContext {
  setThreads(threads: number): void;
  initBatch(size: number): void;
  addToBatch(sequence: number, position: number, ids: Uint32Array, withLogits: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  disposeSequence(sequence: number): void;
}

const BATCH_SIZE = 512;

answerCalls(async ({ model: modelPath, threads, maxSeq, lora }) => {
  const require = createRequire(fileURLToPath(new URL('../package.json', import.meta.url)));
  const entry = require.resolve('node-llama-cpp');
  const { getLlama } = (await import(pathToFileURL(entry).href)) as NodeLlamaCpp;
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    logLevel: 'error',
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath });
  const size = { contextSize: maxSeq, batchSize: BATCH_SIZE, threads };
  // Flash attention is the faster of the two on processors, too.
  const { _ctx: context } = await model.createContext({ ...size, flashAttention: true });
  context.setThreads(threads);
  let position = 0;
  let precise: Sequence | undefined;
  const { dependencies } = require('./package.json') as { dependencies: Record<string, string> };
  return {
    version: `node-llama-cpp ${dependencies['node-llama-cpp']}`,
    async clear() {
      context.disposeSequence(0);
      position = 0;
    },
    async append(ids) {
      context.initBatch(ids.length);
      context.addToBatch(0, position, Uint32Array.from(ids), Uint32Array.of(ids.length - 1));
      await context.decodeBatch();
      position += ids.length;
    },
    async logits(ids) {
      // As exact as it can be asked to be: keys and values in f32, probabilities too.
      const exact = { flashAttention: false, experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32' };
      precise ??= (
        await model.createContext({ ...size, ...exact, ...(lora && { lora: { adapters: lora } }) })
      ).getSequence();
      await precise.clearHistory();
      const input = ids.map((id, i): number | [number, { generateNext: { logits: true } }] =>
        i < ids.length - 1 ? id : [id, { generateNext: { logits: true } }],
      );
      const { logits } = (await precise.controlledEvaluate(input)).at(-1)!.next;
      return Array.from({ length: logits.size }, (_, id) => logits.get(id)!);
    },
  };
});
