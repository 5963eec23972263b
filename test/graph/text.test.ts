import { expect, test } from 'vitest';
import { optimize } from '../../src/graph/passes/index.ts';
import { graphText } from '../../src/graph/text.ts';
import { buildModel } from '../support/random_model.ts';

/** One Llama layer, as its builder wrote it and as the passes leave it. The files are meant to be read. */
const { graph } = buildModel({
  seed: 0,
  layers: [{ attention: ['q8_0', 'q8_0', 'q8_0'], ffn: 'q4_0', junk: ['dead'] }],
  heads: [4, 2, 8],
  dim: 64,
  hiddenDim: 96,
  vocab: 40,
  activations: 'q8',
  layout: 'pairs',
  isPartialRope: false,
  embeddingDType: 'f16',
  isTied: true,
  head: 'plain',
});

test('a layer as it was built', async () => {
  await expect(graphText(graph)).toMatchFileSnapshot('../goldens/graph/llama_layer.txt');
});

test('the same layer after all passes', async () => {
  await expect(graphText(optimize(graph))).toMatchFileSnapshot('../goldens/graph/llama_layer_optimized.txt');
});

test('every line fits a screen', () => {
  for (const line of graphText(optimize(graph)).split('\n')) expect(line.length).toBeLessThanOrEqual(160);
});
