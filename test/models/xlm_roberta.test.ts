import { expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { pairEncoder, plainIds } from '../../src/text/pairs.ts';
import { encoderFile, randomEmbedder, randomReranker } from '../support/encoder_cases.ts';

/** XLM-R and what is made of it (BGE-M3) from GGUF: a BERT with a Unigram vocabulary. The graph is that of encoders.test.ts. */

const ONE = { architecture: 'xlm-roberta' } as const;
const [START, END] = [0, 2];

test('a text stands between <s> and </s>, and its vector is that of its ids', async () => {
  await using model = await randomEmbedder(ONE);
  const ids = model.tokenizer.encode('the and then');
  expect([ids[0], ids.at(-1)]).toEqual([START, END]);
  expect(model.tokenizer.decode(ids)).toBe('the and then');
  expect(model.tokenizer.encode('a</s>')).toEqual([START, ...plainIds(model.tokenizer, 'a</s>'), END]);
  await using naive = await randomEmbedder(ONE, { executor: 'naive' });
  const texts = ['the and then', 'a </s> é', 'b'];
  const vectors = await naive.embed(texts);
  expect(await model.embed(texts)).toEqual(vectors);
  expect(new Set(vectors.map((vector) => vector[0])).size).toBe(texts.length);
});

test('a pair is <s> query </s></s> document </s>', async () => {
  const file = encoderFile({ ...ONE, shape: { tied: false } });
  const vocabulary = ggufVocab((await openModelFile(bufferSource('xlm.gguf', file))).metadata);
  await using model = await randomReranker(ONE);
  const [a, b] = [plainIds(model.tokenizer, 'the'), plainIds(model.tokenizer, 'and then')];
  expect(pairEncoder(vocabulary, model.tokenizer)(a, b).ids).toEqual([START, ...a, END, END, ...b, END]);
  const ranks = await model.rank('the', ['and then', 'x']);
  expect(ranks).toHaveLength(2);
  expect(ranks.every(({ score }) => Number.isFinite(score))).toBe(true);
});
