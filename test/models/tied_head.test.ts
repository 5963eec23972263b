import { expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes } from '../support/hf_folders.ts';

/** A folder that says tie_word_embeddings and has lm_head.weight too: what these bytes are decides. */

const CONFIG = { ...hfSizes('grouped'), model_type: 'llama', tie_word_embeddings: true };

async function folderWithHead(change: (bytes: Uint8Array) => void): Promise<Map<string, TensorInfo>> {
  const { tensors } = await ggufAndFolderTensors('llama', 'grouped');
  const embedding = tensors.get('model.embed_tokens.weight')!;
  const bytes = new Uint8Array(embedding.nBytes);
  await embedding.source.read(embedding.offset, bytes);
  change(bytes);
  const head = { ...embedding, name: 'lm_head.weight', source: bufferSource('head', bytes), offset: 0 };
  return new Map(tensors).set('lm_head.weight', head);
}

test('the same bytes again: the embedding is the head, and is read once', async () => {
  const model = await describeFolder(CONFIG, await folderWithHead(() => {}));
  expect(model.tensors.has('output.weight')).toBe(false);
  expect(model.tensors.has('token_embd.weight')).toBe(true);
});

test.each([
  ['first', 0],
  ['last', -1],
])('a difference in the %s byte is refused by name, and run where the config does not tie', async (_which, at) => {
  const tensors = await folderWithHead((bytes) => {
    bytes[bytes.length * Number(at < 0) + at]! ^= 1;
  });
  await expect(describeFolder(CONFIG, tensors)).rejects.toMatchObject({
    name: 'UnsupportedError',
    message: expect.stringMatching(
      /tie_word_embeddings is true .*but tensor "lm_head.weight" differs .* say false to run/,
    ),
  });
  const untied = await describeFolder({ ...CONFIG, tie_word_embeddings: false }, tensors);
  expect(untied.tensors.get('output.weight')).toBe(tensors.get('lm_head.weight'));
});

test('another type is another matrix', async () => {
  const tensors = await folderWithHead(() => {});
  tensors.set('lm_head.weight', { ...tensors.get('lm_head.weight')!, type: 'i32' });
  await expect(describeFolder(CONFIG, tensors)).rejects.toThrow(/differs from the embedding/);
});
