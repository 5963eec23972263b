import { loadModel } from '../../../src/index.browser.ts';
import { idsOf, lettersOf, MAX_SEQ, MODEL } from './page_engine.ts';

/** Glassformer in a worker of the page: messages in, milliseconds out. */
type Message =
  | { readonly open: { readonly threads: number } }
  | { readonly prefill: number }
  | { readonly prepare: number }
  | { readonly decode: number };

let model: Awaited<ReturnType<typeof loadModel>> | undefined;
let prepared: ReturnType<NonNullable<typeof model>['createSession']> | undefined;

async function answer(message: Message): Promise<number> {
  const start = performance.now();
  if ('open' in message) {
    const { threads } = message.open;
    model = await loadModel(MODEL, { kernelFiles: '/wasm/', maxSeq: MAX_SEQ, threads });
    // The engine falls back to one thread with a notice: a row must not say two then.
    if (model.info.threads !== threads) throw new Error(`asked for ${threads} threads, ${model.info.threads} run`);
    return performance.now() - start;
  }
  if ('prefill' in message) {
    using session = model!.createSession();
    const ids = idsOf(lettersOf(message.prefill, 0));
    const begin = performance.now();
    await session.append(ids);
    return performance.now() - begin;
  }
  if ('prepare' in message) {
    prepared?.dispose();
    prepared = model!.createSession();
    await prepared.append(idsOf(lettersOf(message.prepare, 0)));
    return performance.now() - start;
  }
  for (const id of idsOf(lettersOf(message.decode, 0))) await prepared!.append([id]);
  return performance.now() - start;
}

addEventListener('message', async ({ data }: MessageEvent<Message>) => {
  try {
    postMessage({ ms: await answer(data) });
  } catch (e) {
    postMessage({ error: e instanceof Error ? e.message : String(e) });
  }
});
