import { loadModel } from '../../../src/index.browser.ts';
import { idsOf, lettersOf, MAX_SEQ, MODEL } from './page_engine.ts';

/** Glassformer in a worker of the page: messages in, milliseconds out. */
type Message =
  | { readonly open: { readonly threads: number } }
  | { readonly prefill: number }
  | { readonly decode: number; readonly after: number };

let model: Awaited<ReturnType<typeof loadModel>> | undefined;

async function answer(message: Message): Promise<number> {
  const start = performance.now();
  if ('open' in message) {
    const { threads } = message.open;
    model = await loadModel(MODEL, { kernelFiles: '/wasm/', maxSeq: MAX_SEQ, ...(threads > 1 && { threads }) });
    return performance.now() - start;
  }
  using session = model!.createSession();
  if ('prefill' in message) {
    const ids = idsOf(lettersOf(message.prefill, 0));
    const begin = performance.now();
    await session.append(ids);
    return performance.now() - begin;
  }
  await session.append(idsOf(lettersOf(message.after, 0)));
  const ids = idsOf(lettersOf(message.decode, 0));
  const begin = performance.now();
  for (const id of ids) await session.append([id]);
  return performance.now() - begin;
}

addEventListener('message', async ({ data }: MessageEvent<Message>) => {
  try {
    postMessage({ ms: await answer(data) });
  } catch (e) {
    postMessage({ error: e instanceof Error ? e.message : String(e) });
  }
});
