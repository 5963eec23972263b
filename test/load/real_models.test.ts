import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { DTYPES, rowBytes } from '../../src/core/dtype.ts';
import { bufferSource, type SourceFolder } from '../../src/core/host.ts';
import { needCount, needString, needStrings } from '../../src/core/metadata.ts';
import { openHfFolder } from '../../src/load/hf_folder.ts';
import type { ModelFile } from '../../src/load/model_file.ts';
import { ggufNameOf } from '../../src/load/names.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { dtypeOf, readTensorBytes, tensorRows } from '../../src/load/weights.ts';
import { describeWithFixture, fixture, ROOT } from '../support/fixtures.ts';
import { expectInside } from './sources.ts';

const openFile = (path: string) => openModelFile(bufferSource(basename(path), readFileSync(path)));

function diskFolder(path: string): SourceFolder {
  return {
    name: path,
    async open(fileName) {
      const file = join(path, fileName);
      return existsSync(file) ? bufferSource(file, readFileSync(file)) : null;
    },
  };
}

/** Shapes and types fit together, and every weight can be read. */
async function expectReadable(model: ModelFile): Promise<void> {
  expectInside(model);
  for (const info of model.tensors.values()) {
    const { nRows, rowBytes: nBytes } = tensorRows(info);
    expect(nRows * rowBytes(dtypeOf(info), info.shape.at(-1)!)).toBe(info.nBytes);
    expect(nBytes % DTYPES[dtypeOf(info)].blockBytes).toBe(0);
    await readTensorBytes(info, 0, new Uint8Array(info.nBytes));
  }
}

async function expectLlamaGguf(path: string): Promise<void> {
  const model = await openFile(path);
  await expectReadable(model);
  expect(needString(model.metadata, 'general.architecture')).toBe('llama');
  const nLayers = needCount(model.metadata, 'llama.block_count');
  for (let layer = 0; layer < nLayers; layer++) expect(model.tensors.has(`blk.${layer}.attn_q.weight`)).toBe(true);
  const dim = needCount(model.metadata, 'llama.embedding_length');
  const vocab = needStrings(model.metadata, 'tokenizer.ggml.tokens').length;
  // Outermost first: a row for each token.
  expect(model.tensors.get('token_embd.weight')?.shape).toEqual([vocab, dim]);
}

/** A folder's tensors, renamed, are those of the F32 GGUF of the same model, and the shapes agree. */
async function expectSameTensors(folder: string, gguf: string): Promise<void> {
  const hf = await openHfFolder(diskFolder(folder));
  await expectReadable(hf.weights);
  const model = await openFile(gguf);
  // Of two tied matrices a file has one, under either name.
  const isTied = hf.config['tie_word_embeddings'] === true;
  const renamed = [...hf.weights.tensors.values()].map((info) => {
    const name = ggufNameOf(info.name);
    return [isTied && name === 'output.weight' ? 'token_embd.weight' : name, info.shape] as const;
  });
  expect(renamed.every(([name]) => name !== null)).toBe(true);
  const byName = (a: readonly [string | null, unknown], b: readonly [string | null, unknown]) =>
    a[0]! < b[0]! ? -1 : 1;
  const native = [...model.tensors.values()].map((info) => [info.name, info.shape] as const);
  expect(renamed.sort(byName)).toEqual(native.sort(byName));
}

test('the embedded model', async () => {
  await expectLlamaGguf(join(ROOT, 'src', 'embedded', 'lm', 'model.gguf'));
});

describeWithFixture('stories260k', 'stories260K', () => {
  for (const file of ['stories260K-f32.gguf', 'stories260K-q8_0.gguf']) {
    test(file, () => expectLlamaGguf(fixture('stories260k', file)));
  }
  test('its folder has the tensors of its GGUF', () =>
    expectSameTensors(fixture('stories260k'), fixture('stories260k', 'stories260K-f32.gguf')));
});

describeWithFixture('tinystories-656k', 'TinyStories 656K', () => {
  for (const type of ['f32', 'f16', 'q8_0', 'q4_0']) {
    const file = `tinystories-656k-${type}.gguf`;
    test(file, () => expectLlamaGguf(fixture('tinystories-656k', file)));
  }
  test('its folder has the tensors of its GGUF', () =>
    expectSameTensors(fixture('tinystories-656k'), fixture('tinystories-656k', 'tinystories-656k-f32.gguf')));
});

describeWithFixture('vocab', 'files that are vocabularies only', () => {
  for (const [name, model] of [
    ['gpt-2', 'gpt2'],
    ['llama-spm', 'llama'],
    ['bert-bge', 'bert'],
  ] as const) {
    test(name, async () => {
      const { metadata, tensors } = await openFile(fixture('vocab', `ggml-vocab-${name}.gguf`));
      expect(tensors.size).toBe(0);
      expect(needString(metadata, 'tokenizer.ggml.model')).toBe(model);
      expect(needStrings(metadata, 'tokenizer.ggml.tokens').length).toBeGreaterThan(30_000);
    });
  }
});

describeWithFixture('vit-cifar10', 'a folder without a tokenizer', () => {
  test('opens, and says null', async () => {
    const folder = await openHfFolder(diskFolder(dirname(fixture('vit-cifar10', 'config.json'))));
    expect(folder.tokenizerJson).toBeNull();
    expectInside(folder.weights);
  });
});
