import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Metadata, MetaValue } from '../../src/core/metadata.ts';
import { verify } from '../../src/graph/verify.ts';
import type { ModelFile, TensorInfo } from '../../src/load/model_file.ts';
import { describeGguf, describeHfFolder } from '../../src/models/architectures.ts';
import type { LlamaConfig } from '../../src/models/config.ts';
import { buildLlama, ropeSpec } from '../../src/models/llama.ts';
import { llamaConfigFromGguf } from '../../src/models/llama_gguf.ts';
import { llamaConfigFromHf } from '../../src/models/llama_hf.ts';
import { executorOf, firstDifference, logitsInChunks } from '../support/executors.ts';
import { TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

const GGUF: Readonly<Record<string, MetaValue>> = {
  'general.architecture': 'llama',
  'llama.context_length': 96,
  'llama.embedding_length': 32,
  'llama.feed_forward_length': 64,
  'llama.block_count': 2,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 2,
  'llama.attention.layer_norm_rms_epsilon': 1e-5,
  'llama.vocab_size': 53,
};
const HF = {
  model_type: 'llama',
  vocab_size: 53,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 96,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
};

const meta = (changes: Readonly<Record<string, MetaValue | undefined>> = {}): Metadata =>
  new Map(Object.entries({ ...GGUF, ...changes }).filter((e): e is [string, MetaValue] => e[1] !== undefined));

const ggufFile = (
  changes: Readonly<Record<string, MetaValue | undefined>> = {},
  tensors: ReadonlyMap<string, TensorInfo> = tinyLlama({ seed: 1, dtype: 'f32' }).tensors,
): ModelFile => ({ format: 'gguf', name: 'tiny.gguf', metadata: meta(changes), tensors, close: async () => {} });

describe('config', () => {
  test('GGUF and Hugging Face forms say the same, but for the layout of the rope', () => {
    expect(llamaConfigFromGguf(meta(), undefined)).toEqual(TINY_CONFIG);
    expect(llamaConfigFromHf(HF)).toEqual({ ...TINY_CONFIG, ropeLayout: 'halves' });
  });

  test.each([
    [{ 'llama.block_count': undefined }, 'ConfigError', /llama\.block_count" is missing/],
    [{ 'llama.block_count': 'two' }, 'ConfigError', /llama\.block_count" is .*string/],
    [{ 'llama.block_count': 0 }, 'ConfigError', /nLayers is 0/],
    [{ 'llama.block_count': 10 ** 9 }, 'ConfigError', /nLayers is 1000000000/],
    [{ 'llama.attention.head_count_kv': 3 }, 'ConfigError', /nHeads is 4, must be a multiple of nKvHeads=3/],
    [{ 'llama.attention.head_count_kv': 0 }, 'ConfigError', /nKvHeads is 0/],
    [{ 'llama.rope.dimension_count': 7 }, 'ConfigError', /ropeDim is 7, must be even/],
    [{ 'llama.rope.dimension_count': 10 }, 'ConfigError', /ropeDim is 10, must be even and at most headDim=8/],
    [{ 'llama.rope.freq_base': -1 }, 'ConfigError', /ropeBase is -1/],
    [{ 'llama.attention.layer_norm_rms_epsilon': Number.NaN }, 'ConfigError', /normEps is NaN/],
    [{ 'llama.attention.sliding_window': -1 }, 'ConfigError', /sliding_window/],
    [{ 'llama.attention.value_length': 16 }, 'UnsupportedError', /value_length is 16 and key_length 8/],
    [{ 'llama.rope.scaling.type': 'longrope' }, 'UnsupportedError', /rope\.scaling\.type is "longrope"/],
    [{ 'llama.rope.scaling.type': 'linear' }, 'ConfigError', /rope\.scaling\.factor" is missing/],
    [{ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 0 }, 'ConfigError', /scaling factor is 0/],
    [{ 'llama.rope.scaling.attn_factor': 1.2 }, 'UnsupportedError', /attn_factor is 1\.2 together with none/],
  ])('GGUF with %o: %s', (changes, name, message) => {
    expect(() => llamaConfigFromGguf(meta(changes as never), undefined)).toThrow(
      expect.objectContaining({ name, message: expect.stringMatching(message) }),
    );
  });

  test.each([
    [{ hidden_size: undefined }, 'ConfigError', /hidden_size is missing/],
    [{ hidden_size: '32' }, 'ConfigError', /hidden_size is "32", expected a number/],
    [{ hidden_size: 1.5 }, 'ConfigError', /dim is 1\.5/],
    [{ attention_bias: true }, 'UnsupportedError', /attention_bias is true/],
    [{ mlp_bias: true }, 'UnsupportedError', /mlp_bias is true/],
    [{ hidden_act: 'gelu' }, 'UnsupportedError', /hidden_act is "gelu"/],
    [
      { model_type: 'llama', sliding_window: 16 },
      'UnsupportedError',
      /sliding_window is 16; of the Llama family mistral and/,
    ],
    [{ model_type: 'mistral', sliding_window: '16' }, 'ConfigError', /sliding_window is "16", expected a number/],
    [{ model_type: 'mistral', sliding_window: 0 }, 'ConfigError', /sliding window is 0/],
    [{ rope_scaling: { rope_type: 'ntk', factor: 2 } }, 'UnsupportedError', /rope type is "ntk"; known are default,/],
    [{ rope_scaling: [] }, 'ConfigError', /rope_scaling is \[\]/],
    [
      {
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 4,
          high_freq_factor: 1,
          original_max_position_embeddings: 32,
        },
      },
      'ConfigError',
      /low_freq_factor is 4/,
    ],
  ])('config.json with %o: %s', (changes, name, message) => {
    expect(() => llamaConfigFromHf({ ...HF, ...changes } as never)).toThrow(
      expect.objectContaining({ name, message: expect.stringMatching(message) }),
    );
  });

  test("Mistral's window is that of all layers", () => {
    const mistral = llamaConfigFromHf({ ...HF, model_type: 'mistral', sliding_window: 16 });
    expect(mistral).toEqual({ ...llamaConfigFromHf(HF), window: 16 });
    expect(llamaConfigFromGguf(meta({ 'llama.attention.sliding_window': 16 } as never), undefined).window).toBe(16);
    expect(llamaConfigFromHf({ ...HF, model_type: 'mistral', sliding_window: null }).window).toBeUndefined();
    const { nodes } = buildLlama({ ...TINY_CONFIG, window: 16 }, tinyLlama({ seed: 1, dtype: 'f32' }).tensors, 'f32');
    const windowed = nodes.filter((node) => 'window' in node && node.window === 16);
    expect(windowed.map(({ name }) => name)).toEqual(
      [0, 1].flatMap((layer) => ['scores', 'probs', 'mix'].map((part) => `blk.${layer}.${part}`)),
    );
  });

  test.each([
    [{ 'llama.rope.scaling.factor': 4 }, { kind: 'linear', factor: 4 }],
    [{ 'llama.rope.scale_linear': 4 }, { kind: 'linear', factor: 4 }],
    [
      { 'llama.rope.scale_linear': 2, 'llama.rope.scaling.factor': 4 },
      { kind: 'linear', factor: 4 },
    ],
    [{ 'llama.rope.scaling.factor': 0 }, { kind: 'none' }],
    [{ 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 }, { kind: 'none' }],
  ])('a GGUF factor without a type is linear: %o', (changes, scaling) => {
    expect(llamaConfigFromGguf(meta(changes as never), undefined).ropeScaling).toEqual(scaling);
  });

  test('a window that config.json leaves out is that of Mistral, and one that is null is none', () => {
    const long = { ...HF, model_type: 'mistral', max_position_embeddings: 8192 };
    expect(llamaConfigFromHf(long).window).toBe(4096);
    expect(llamaConfigFromHf({ ...long, sliding_window: null }).window).toBeUndefined();
    expect(llamaConfigFromHf({ ...long, model_type: 'llama' }).window).toBeUndefined();
  });

  test('a window as long as the context is none, and both spellings of rope scaling are read', () => {
    expect(llamaConfigFromHf({ ...HF, sliding_window: 96 })).toEqual(llamaConfigFromHf(HF));
    expect(llamaConfigFromHf({ ...HF, rope_scaling: { type: 'linear', factor: 4 } }).ropeScaling).toEqual({
      kind: 'linear',
      factor: 4,
    });
    const five = { ...HF, rope_theta: undefined, rope_parameters: { rope_type: 'linear', factor: 4, rope_theta: 5e5 } };
    expect(llamaConfigFromHf(five as never)).toMatchObject({
      ropeBase: 5e5,
      ropeScaling: { kind: 'linear', factor: 4 },
    });
  });
});

describe('architectures', () => {
  test('unknown ones are refused by name', async () => {
    await expect(describeGguf(ggufFile({ 'general.architecture': 'mamba' }))).rejects.toMatchObject({
      name: 'UnsupportedError',
      message: expect.stringMatching(/^tiny\.gguf: architecture is "mamba"; known are llama, /),
    });
    await expect(describeGguf(ggufFile({ 'general.architecture': 'toString' }))).rejects.toThrow(
      /"toString"; known are/,
    );
    await expect(describeGguf(ggufFile({ 'general.architecture': undefined }))).rejects.toThrow(
      /has no general\.architecture/,
    );
  });

  test('tensors of a Hugging Face folder that have no place are refused by name', async () => {
    const weights = { ...ggufFile(), tensors: new Map([['model.layers.0.self_attn.q_norm.weight', {} as TensorInfo]]) };
    const folder = {
      config: HF,
      weights,
      tokenizerJson: null,
      tokenizerConfig: null,
      generationConfig: null,
      chatTemplate: null,
    };
    await expect(describeHfFolder(folder as never)).rejects.toThrow(
      /tensor model\.layers\.0\.self_attn\.q_norm\.weight has no place/,
    );
  });

  test('a folder that has no head and does not tie it is refused', async () => {
    const weights = { ...ggufFile(), tensors: new Map([['model.embed_tokens.weight', {} as TensorInfo]]) };
    const folder = { weights, tokenizerJson: null, tokenizerConfig: null, generationConfig: null, chatTemplate: null };
    await expect(describeHfFolder({ ...folder, config: HF } as never)).rejects.toThrow(/lm_head\.weight is missing/);
    await describeHfFolder({ ...folder, config: { ...HF, tie_word_embeddings: true } } as never);
  });

  test('rope_freqs.weight divides the frequencies', async () => {
    const factors = Float32Array.of(1, 2, 4, 8);
    const bytes = new Uint8Array(factors.buffer);
    const tensors = new Map(tinyLlama({ seed: 1, dtype: 'f32' }).tensors);
    tensors.set('rope_freqs.weight', {
      name: 'rope_freqs.weight',
      type: 'f32',
      shape: [4],
      source: bufferSource('x', bytes),
      offset: 0,
      nBytes: 16,
    });
    const { config, buildGraph } = await describeGguf(ggufFile({}, tensors));
    const plain = ropeSpec(TINY_CONFIG).frequencies;
    expect(ropeSpec(config as LlamaConfig).frequencies).toEqual(plain.map((f, i) => f / factors[i]!));
    verify(buildGraph('f32'));
  });
});

describe('graph', () => {
  const { config, tensors } = tinyLlama({ seed: 3, dtype: 'f32' });
  const without = (name: string) => new Map([...tensors].filter(([key]) => key !== name));
  const withTensor = (name: string, change: Partial<TensorInfo>) =>
    new Map(tensors).set(name, { ...tensors.get('blk.0.attn_norm.weight')!, ...tensors.get(name), ...change });

  test('is verified as built', () => {
    for (const activations of ['q8', 'f32'] as const) verify(buildLlama(config, tensors, activations));
  });

  test.each([
    [without('blk.1.ffn_up.weight'), 'ShapeError', /tensor blk\.1\.ffn_up\.weight \[64, 32\] is missing/],
    [without('output_norm.weight'), 'ShapeError', /output_norm\.weight \[32\] is missing/],
    [
      withTensor('blk.0.attn_k.weight', { shape: [32, 32] }),
      'ShapeError',
      /blk\.0\.attn_k\.weight is \[32, 32\], the config asks for \[16, 32\]/,
    ],
    [
      withTensor('blk.0.attn_q.bias', { name: 'blk.0.attn_q.bias' }),
      'UnsupportedError',
      /blk\.0\.attn_q\.bias has no place/,
    ],
    [withTensor('blk.0.attn_q.weight', { type: 'i8' }), 'UnsupportedError', /blk\.0\.attn_q\.weight.*i8/],
  ])('tensors that do not fit are refused: %#', (changed, name, message) => {
    expect(() => buildLlama(config, changed, 'f32')).toThrow(
      expect.objectContaining({ name, message: expect.stringMatching(message) }),
    );
  });

  test('either end of a tied model serves both', async () => {
    const tied = tinyLlama({ seed: 5, dtype: 'f32', tied: true });
    const table = tied.tensors.get('token_embd.weight')!;
    const other = new Map([...tied.tensors].filter(([name]) => name !== 'token_embd.weight')).set(
      'output.weight',
      table,
    );
    const ids = [4, 8, 15];
    const a = logitsInChunks(await executorOf('wasm simd', tied, 'f32'), ids, []);
    const b = logitsInChunks(await executorOf('wasm simd', { ...tied, tensors: other }, 'f32'), ids, []);
    expect(firstDifference(a, b)).toBeUndefined();
  });

  test('pairs and halves are the same model once the rows of q and k are reordered', async () => {
    const pairs = tinyLlama({ seed: 9, dtype: 'f32' });
    const halves = new Map(pairs.tensors);
    const { headDim } = pairs.config;
    for (const [name, info] of pairs.tensors) {
      if (!/attn_[qk]\.weight$/.test(name)) continue;
      const bytes = new Uint8Array(info.nBytes);
      await info.source.read(0, bytes);
      const rowBytes = info.nBytes / info.shape[0]!;
      const reordered = new Uint8Array(info.nBytes);
      for (let row = 0; row < info.shape[0]!; row++) {
        const d = row % headDim;
        const target = row - d + (d % 2) * (headDim / 2) + Math.floor(d / 2); // 2i -> i, 2i + 1 -> i + half
        reordered.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), target * rowBytes);
      }
      halves.set(name, { ...info, source: bufferSource(name, reordered) });
    }
    const ids = [4, 8, 15, 16, 23, 42];
    const config = { ...pairs.config, ropeLayout: 'halves' as const };
    const a = logitsInChunks(await executorOf('naive64', pairs, 'f32'), ids, []);
    const b = logitsInChunks(await executorOf('naive64', { config, tensors: halves }, 'f32'), ids, []);
    // Compensated sums do not notice the new order in which a head's products are added.
    expect(firstDifference(a, b)).toBeUndefined();
  });
});
