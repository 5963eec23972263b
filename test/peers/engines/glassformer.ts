import { readFileSync } from 'node:fs';
import { loadModel } from '../../../src/index.node.ts';
import { answerCalls } from './answer.ts';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

answerCalls(async ({ model: path, threads, kernels = 'auto', maxSeq }) => {
  const model = await loadModel(path, { kernels, maxSeq, threads });
  // The engine falls back to one thread with a notice: a row must not say two then.
  if (model.info.threads !== threads) throw new Error(`asked for ${threads} threads, ${model.info.threads} run`);
  let session = model.createSession();
  return {
    version: `Glassformer ${version}, ${model.info.kernels}, ${process.version}`,
    weightBytes: model.info.weightBytes,
    async clear() {
      session.dispose();
      session = model.createSession();
    },
    async append(ids) {
      await session.append(ids);
    },
    async logits(ids) {
      using fresh = model.createSession();
      return [...(await fresh.append(ids)).data];
    },
  };
});
