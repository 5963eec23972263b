import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { ConfigError, isGlassformerError, UnsupportedError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { loadEmbedder } from '../../src/engine/embedder.ts';
import { type EncoderDecoder, loadEncoderDecoder } from '../../src/engine/encoder_decoder.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import { isEncoderDecoder } from '../../src/engine/open_encoder_decoder.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { peekArchitecture } from '../../src/load/gguf_header.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { buildT5Decoder, buildT5Encoder } from '../../src/models/t5.ts';
import { t5ConfigFromGguf, t5TensorsOfGguf } from '../../src/models/t5_gguf.ts';
import { folderOf } from '../load/sources.ts';
import { HOST } from '../support/executors.ts';
import { describeWithFixture, fixture, ROOT } from '../support/fixtures.ts';

/** T5 from GGUF. Folders are compared with PyTorch (t5.test.ts), so a file is compared with the folder of its weights. */

const SHAPE = { nLayers: 2, dim: 64, nHeads: 4, nKvHeads: 4, hiddenDim: 96, vocab: 300, maxContext: 64 };
const SOURCE = [6, 20, 3, 77, 290, 1];
const ANSWER = [0, 9, 140, 3, 299];

function fileOf(tied: boolean, format: DType = 'f32'): Uint8Array<ArrayBuffer> {
  const model = randomGguf({ architecture: 't5', shape: { ...SHAPE, tied }, format, seed: 5 });
  const file = new Uint8Array(model.nBytes);
  let at = 0;
  for (const chunk of model.chunks()) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

const sourceOf = (file: Uint8Array<ArrayBuffer>) => ({ kind: 'file', source: bufferSource('t5.gguf', file) }) as const;
const load = (file: Uint8Array<ArrayBuffer>, options: LoadOptions = {}): Promise<EncoderDecoder> =>
  loadEncoderDecoder(sourceOf(file), HOST, options);

/** Hugging Face's name of a tensor of the file. */
function hfName(name: string): string {
  const top: Record<string, string> = {
    'token_embd.weight': 'shared.weight',
    'output.weight': 'lm_head.weight',
    'enc.output_norm.weight': 'encoder.final_layer_norm.weight',
    'dec.output_norm.weight': 'decoder.final_layer_norm.weight',
  };
  if (top[name] !== undefined) return top[name];
  const [, side, block, part] = /^(enc|dec)\.blk\.(\d+)\.(.+)\.weight$/.exec(name)!;
  const last = side === 'enc' ? 1 : 2;
  const dense = (matrix: string): string => `${last}.DenseReluDense.${matrix}`;
  const parts: Record<string, string> = {
    attn_norm: '0.layer_norm',
    attn_rel_b: '0.SelfAttention.relative_attention_bias',
    cross_attn_norm: '1.layer_norm',
    ffn_norm: `${last}.layer_norm`,
    ffn_down: dense('wo'),
    ffn_gate: dense('wi_0'),
    ffn_up: dense('wi'),
  };
  for (const matrix of 'qkvo') {
    parts[`attn_${matrix}`] = `0.SelfAttention.${matrix}`;
    parts[`cross_attn_${matrix}`] = `1.EncDecAttention.${matrix}`;
  }
  return `${side}oder.block.${block}.layer.${parts[part!]}.weight`;
}

/** The same weights as a Hugging Face folder; with `inBf16`, all cut down to bf16, and those tensors stored so. */
async function folderOfFile(
  file: Uint8Array<ArrayBuffer>,
  tied: boolean,
  type: 't5' | 'mt5' = 't5',
  inBf16?: readonly string[],
) {
  const { tensors } = await openGguf(bufferSource('t5.gguf', file));
  const written = [];
  for (const info of tensors.values()) {
    const data = new Float32Array(info.shape.reduce((n, size) => n * size, 1));
    await readTensorBytes(info, 0, new Uint8Array(data.buffer));
    const hf = hfName(info.name);
    const [name, { shape }] = [tied ? hf : hf.replace('.wi.', '.wi_1.'), info];
    const halves = new Uint16Array(data.buffer); // the upper one of an f32 is a bf16
    for (let i = 0; inBf16 !== undefined && i < halves.length; i += 2) halves[i] = 0;
    if (inBf16?.includes(info.name)) {
      written.push({ name, shape, dtype: 'BF16', data: halves.filter((_, i) => i % 2 === 1) } as const);
    } else written.push({ name, shape, dtype: 'F32', data } as const);
  }
  const config = {
    model_type: type,
    architectures: [type === 't5' ? 'T5ForConditionalGeneration' : 'MT5ForConditionalGeneration'],
    vocab_size: SHAPE.vocab,
    d_model: SHAPE.dim,
    d_ff: SHAPE.hiddenDim,
    d_kv: SHAPE.dim / SHAPE.nHeads,
    num_heads: SHAPE.nHeads,
    num_layers: SHAPE.nLayers,
    n_positions: SHAPE.maxContext,
    layer_norm_epsilon: Math.fround(1e-6),
    decoder_start_token_id: 0,
    eos_token_id: 1,
    // What an mT5 leaves out is its own.
    ...(type === 't5' && { tie_word_embeddings: tied, feed_forward_proj: tied ? 'relu' : 'gated-gelu' }),
  };
  const json = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  return folderOf({
    'config.json': json(config),
    'tokenizer.json': json({ model: { type: 'Unigram', unk_id: 0, vocab: [['a', -1]] } }),
    'model.safetensors': writeSafetensors(written),
  });
}

async function logitsOf(model: EncoderDecoder): Promise<number[]> {
  const session = model.encode({ ids: SOURCE });
  const { data } = await session.append(ANSWER, { logits: 'all' });
  session.dispose();
  return [...data];
}

describe.each([
  ['v1.0', true],
  ['v1.1', false],
] as const)('a file as of %s', (_, tied) => {
  test.each(['naive64', 'wasm'] as const)('gives the bits of the folder with its weights: %s', async (executor) => {
    const file = fileOf(tied);
    await using fromFile = await load(file, { executor });
    await using fromFolder = await loadEncoderDecoder(
      { kind: 'folder', folder: await folderOfFile(file, tied) },
      HOST,
      { executor },
    );
    const logits = await logitsOf(fromFile);
    expect(await logitsOf(fromFolder)).toEqual(logits);
    expect(new Set(logits).size).toBeGreaterThan(1000);
    expect(fromFile.config).toEqual(fromFolder.config);
  });

  test('of q8_0 weights generates, from a text that ends with its end token', async () => {
    await using model = await load(fileOf(tied, 'q8_0'));
    expect(model.sourceIds('the é').slice(-2)).toEqual([2, 1]);
    expect(model.tokenizer.decode(model.sourceIds('the and then'))).toBe('the and then');
    const ids: number[] = [];
    for await (const { id } of model.generate('the', { temperature: 0, maxTokens: 4 })) ids.push(id);
    expect(ids.length).toBeGreaterThan(0);
    expect(model.info.maxSeq).toBe(SHAPE.maxContext);
  });
});

test.each(['naive64', 'naive', 'wasm'] as const)(
  'matrices of cross attention in two formats give the bits of one: %s',
  async (executor) => {
    const file = fileOf(false);
    const mixed = ['dec.blk.0.cross_attn_v.weight', 'dec.blk.1.cross_attn_k.weight'];
    const logits: number[][] = [];
    for (const inBf16 of [[], mixed]) {
      const folder = await folderOfFile(file, false, 't5', inBf16);
      await using model = await loadEncoderDecoder({ kind: 'folder', folder }, HOST, { executor, activations: 'f32' });
      logits.push(await logitsOf(model));
    }
    expect(logits[1]).toEqual(logits[0]);
  },
);

test('a t5encoder gives the rows of the encoder with its weights', async () => {
  // The two files draw the same weights: the encoder's come first.
  const model = randomGguf({ architecture: 't5encoder', shape: { ...SHAPE, tied: false }, format: 'f32', seed: 5 });
  const file = Buffer.concat(Array.from(model.chunks(), (chunk) => chunk.slice()));
  const source = bufferSource('t5encoder.gguf', Uint8Array.from(file));
  await using embedder = await loadEmbedder({ kind: 'file', source }, HOST, { executor: 'naive64' });
  await using whole = await load(fileOf(false), { executor: 'naive64' });
  const text = 'the and then';
  const ids = Int32Array.from(embedder.tokenizer.encode(text));
  const cache = whole.encoder.createCache(ids.length);
  const sequence = cache.create();
  cache.reserve(sequence, ids.length);
  const positions = ids.map((_, t) => t);
  const segments = [{ sequence, from: 0, count: ids.length }];
  const rows: number[] = [];
  const batch = { ids, positions, segments, outRows: positions, isBidirectional: true };
  whole.encoder.run(batch, cache, ({ name, data }) => {
    if (name === 'enc.output_norm') rows.push(...data);
  });
  const [first] = await embedder.embed([text], { pooling: 'cls', normalize: false });
  const [last] = await embedder.embed([text], { pooling: 'last', normalize: false });
  expect([...first!]).toEqual(rows.slice(0, SHAPE.dim));
  expect([...last!]).toEqual(rows.slice(-SHAPE.dim));
  await expect(embedder.embed([text])).rejects.toThrow(/name a pooling/);
});

test('an mT5 is a T5 v1.1: the same bits, with what its config leaves out', async () => {
  const file = fileOf(false);
  await using t5 = await load(file);
  await using mt5 = await loadEncoderDecoder({ kind: 'folder', folder: await folderOfFile(file, false, 'mt5') }, HOST);
  expect(await logitsOf(mt5)).toEqual(await logitsOf(t5));
});

describe('metadata and tensors', () => {
  async function partsOf(tied = false) {
    const { metadata, tensors } = await openGguf(bufferSource('t5.gguf', fileOf(tied)));
    return { metadata: new Map(metadata), tensors: new Map(tensors) };
  }

  test('UMT5: a layer with numbers of distances of its own has those', async () => {
    const { metadata, tensors } = await partsOf();
    const config0 = t5ConfigFromGguf(metadata, tensors);
    const first = tensors.get('enc.blk.0.attn_rel_b.weight')!;
    tensors.set('enc.blk.1.attn_rel_b.weight', first);
    expect([config0.hasOwnDistances, t5ConfigFromGguf(metadata, tensors).hasOwnDistances]).toEqual([false, true]);
    const alone = t5TensorsOfGguf(config0, tensors);
    expect(() => buildT5Encoder(config0, alone.encoder, 'f32')).toThrow(/enc.blk.1.attn_rel_b.weight/);
    expect(() => buildT5Decoder({ ...config0, hasOwnDistances: true }, alone.decoder, 'f32')).toThrow(
      /dec.blk.1.attn_rel_b.weight \[1028\] is missing/,
    );
    tensors.set('dec.blk.1.attn_rel_b.weight', first);
    const config = t5ConfigFromGguf(metadata, tensors);
    const { encoder, decoder } = t5TensorsOfGguf(config, tensors);
    const tables = (nodes: readonly { readonly name: string }[]): string[] =>
      nodes.flatMap(({ name }) => (name.endsWith('attn_rel_b.weight') ? [name] : []));
    expect(tables(buildT5Encoder(config, encoder, 'f32').nodes)).toEqual([
      'enc.blk.0.attn_rel_b.weight',
      'enc.blk.1.attn_rel_b.weight',
    ]);
    expect(tables(buildT5Decoder(config, decoder, 'f32').nodes)).toEqual([
      'dec.blk.0.attn_rel_b.weight',
      'dec.blk.1.attn_rel_b.weight',
    ]);
  });

  test('a table of cross attention that no layer reads is left out', async () => {
    const { metadata, tensors } = await partsOf();
    tensors.set('dec.blk.0.cross_attn_rel_b.weight', tensors.get('dec.blk.0.attn_rel_b.weight')!);
    const config = t5ConfigFromGguf(metadata, tensors);
    expect([...t5TensorsOfGguf(config, tensors).decoder.keys()].join()).not.toContain('cross_attn_rel_b');
  });

  test.each([
    ['embedding_length', undefined, /t5.embedding_length" is missing/, ConfigError],
    ['attention.relative_buckets_count', undefined, /relative_buckets_count" is missing/, ConfigError],
    ['attention.relative_buckets_count', 2 ** 31, /relative_attention_num_buckets is 2147483648/, ConfigError],
    ['attention.head_count', 2 ** 32 - 1, /nHeads|head/i, Error],
    ['attention.key_length', 2 ** 32 - 1, /value_length is 16; t5 is run with 4294967295/, UnsupportedError],
    ['attention.value_length', 8, /value_length is 8; t5 is run with 16/, UnsupportedError],
    ['attention.head_count_kv', 2, /head_count_kv is 2; t5 is run with 4/, UnsupportedError],
    ['attention.scale', 0.5, /t5.attention.scale is 0.5/, UnsupportedError],
    ['decoder_start_token_id', 300, /decoder_start_token_id is 300, expected an id below 300/, ConfigError],
    ['decoder_start_token_id', undefined, /decoder_start_token_id" is missing/, ConfigError],
    ['block_count', 2 ** 32 - 1, /nLayers/, Error],
    ['context_length', 0, /context/i, Error],
  ] as [string, MetaValue | undefined, RegExp, new (m: string) => Error][])(
    '%s %s',
    async (key, value, message, type) => {
      const { metadata, tensors } = await partsOf();
      if (value === undefined) metadata.delete(`t5.${key}`);
      else metadata.set(`t5.${key}`, value);
      const read = (): unknown => t5ConfigFromGguf(metadata, tensors);
      expect(read).toThrow(message);
      expect(read).toThrow(type);
    },
  );

  test.each([
    ['dec.blk.1.cross_attn_k.weight', /dec.blk.1.cross_attn_k.weight \[64, 64\] is missing/],
    ['enc.blk.0.attn_rel_b.weight', /enc.blk.0.attn_rel_b.weight \[1028\] is missing/],
    ['dec.output_norm.weight', /dec.output_norm.weight \[64\] is missing/],
  ])('without %s', async (name, message) => {
    const { metadata, tensors } = await partsOf();
    tensors.delete(name);
    const config = t5ConfigFromGguf(metadata, tensors);
    const build = (): void => {
      const { encoder, decoder } = t5TensorsOfGguf(config, tensors as Map<string, TensorInfo>);
      buildT5Encoder(config, encoder, 'f32');
      buildT5Decoder(config, decoder, 'f32');
    };
    expect(build).toThrow(message);
  });
});

describe('what is no encoder-decoder, and what is one elsewhere', () => {
  test('other commands say what a T5 is for', async () => {
    const [file, message] = [fileOf(false), /architecture is "t5", an encoder-decoder; use "generate"/];
    await expect(loadModel(sourceOf(file), HOST)).rejects.toThrow(message);
    await expect(loadEmbedder(sourceOf(file), HOST)).rejects.toThrow(message);
    for (const type of ['t5', 'mt5'] as const) {
      const folder = await folderOfFile(file, false, type);
      const named = new RegExp(`model_type is "${type}", an encoder-decoder; use "generate"`);
      await expect(loadEmbedder({ kind: 'folder', folder }, HOST)).rejects.toThrow(named);
      await expect(loadModel({ kind: 'folder', folder }, HOST)).rejects.toThrow(named);
      expect(await isEncoderDecoder({ kind: 'folder', folder })).toBe(true);
    }
  });

  test('a decoder', async () => {
    const model = randomGguf({ architecture: 'llama', shape: { ...SHAPE, tied: true }, format: 'f32', seed: 1 });
    const [head] = model.chunks();
    const source = bufferSource('llama.gguf', head!.slice() as Uint8Array<ArrayBuffer>);
    expect(await peekArchitecture(source)).toBe('llama');
    expect(await isEncoderDecoder({ kind: 'file', source })).toBe(false);
    const embedded = new Uint8Array(readFileSync(join(ROOT, 'src/embedded/lm/model.gguf')));
    await expect(load(embedded)).rejects.toThrow(/architecture is "llama", which is not an encoder-decoder/);
    expect(await peekArchitecture(bufferSource('a', new Uint8Array(2)))).toBe(null);
  });

  test('the architecture is found wherever it stands', async () => {
    const name = ['general.name', 'string', 'x'] as const;
    const architecture = ['general.architecture', 'string', 't5'] as const;
    const read = (...metadata: (typeof name | typeof architecture)[]): Promise<string | null> =>
      peekArchitecture(bufferSource('a.gguf', writeGguf({ metadata, tensors: [] })));
    expect([await read(name, architecture), await read(architecture, name)]).toEqual(['t5', 't5']);
    expect([await read(name), await read()]).toEqual([null, null]);
  });

  describeWithFixture('gguf-bad', 'damaged heads', () => {
    test('are told apart or refused by name', async () => {
      const names = readdirSync(fixture('gguf-bad')).filter((name) => name.endsWith('.gguf'));
      expect(names.length).toBeGreaterThan(40);
      for (const name of names) {
        const source = bufferSource(name, new Uint8Array(readFileSync(fixture('gguf-bad', name))));
        try {
          expect(await isEncoderDecoder({ kind: 'file', source })).toBe(false);
        } catch (error) {
          expect(isGlassformerError(error), `${name}: ${error}`).toBe(true);
        }
      }
    });
  });
});
