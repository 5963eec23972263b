import { loadModel } from '../../src/index.browser.ts';
import { createBrowserHost, openBrowserModel } from '../../src/platform/browser.ts';
import { computeDigests } from './digest.ts';

/** Runs in a worker of a page: the golden text by the public API, then the digests that every host computes. */
interface Golden {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
}

const kernelFiles = '/wasm/';
const MODEL = '/model.gguf';

async function greedyText(golden: Golden, kernels: 'simd' | 'relaxed'): Promise<string> {
  const model = await loadModel(MODEL, { kernelFiles, kernels, activations: 'f32' });
  let text = '';
  const options = { temperature: 0, maxTokens: golden.greedy_ids.length };
  for await (const piece of model.generate(golden.prompt, options)) text += piece.text;
  await model.dispose();
  return text;
}

async function answer(golden: Golden) {
  const host = createBrowserHost(kernelFiles);
  return {
    simd: await greedyText(golden, 'simd'),
    relaxed: await greedyText(golden, 'relaxed'),
    digests: await computeDigests(() => openBrowserModel(MODEL), host, golden.prompt_ids),
  };
}

addEventListener('message', async ({ data }: MessageEvent<Golden>) => {
  try {
    postMessage({ result: await answer(data) });
  } catch (e) {
    postMessage({ failure: e instanceof Error ? `${e.message}\n${e.stack}` : String(e) });
  }
});
