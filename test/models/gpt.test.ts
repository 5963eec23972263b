import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { graphText } from '../../src/graph/text.ts';
import { openHfFolder } from '../../src/load/hf_folder.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { ModelFile, TensorInfo } from '../../src/load/model_file.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import type { RandomModelShape } from '../../src/load/random_shape.ts';
import { type SafetensorsTensor, writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { describeGguf, describeHfFolder } from '../../src/models/architectures.ts';
import { falconConfigFromHf } from '../../src/models/falcon_config.ts';
import { gpt2ConfigFromHf } from '../../src/models/gpt2_config.ts';
import { gptNeoxConfigFromHf } from '../../src/models/gptneox_config.ts';
import { folderOf } from '../load/sources.ts';
import { floatsOf } from '../support/safetensors_fixture.ts';

/** GPT-2, GPT-NeoX and Falcon: their configs, their tensors, and that folders and GGUF files are the same models. */

const SHAPE: RandomModelShape = {
  nLayers: 2,
  dim: 48,
  nHeads: 6,
  nKvHeads: 2,
  hiddenDim: 64,
  vocab: 260,
  maxContext: 32,
  tied: false,
};
type Name = 'gpt2' | 'gptneox' | 'falcon';

async function ggufOf(
  architecture: Name,
  shape: Partial<RandomModelShape> = {},
  format: DType = 'f16',
): Promise<ModelFile> {
  const model = randomGguf({ architecture, shape: { ...SHAPE, ...shape }, format, seed: 5 });
  const bytes = Buffer.concat(Array.from(model.chunks(), (part) => part.slice()));
  return openModelFile(bufferSource('random.gguf', bytes));
}

const withMeta = (file: ModelFile, changes: Readonly<Record<string, MetaValue | undefined>>): ModelFile => {
  const metadata = new Map(file.metadata);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  }
  return { ...file, metadata };
};

describe.each(['gpt2', 'gptneox', 'falcon'] as const)('%s as a GGUF file', (architecture) => {
  test.each([
    ['block_count', undefined, 'ConfigError', /block_count" is missing/],
    ['block_count', 0, 'ConfigError', /nLayers is 0/],
    ['attention.head_count', 10, 'ConfigError', /headDim is 4, must be dim \/ nHeads = 48 \/ 10/],
    ['attention.layer_norm_epsilon', undefined, 'ConfigError', /layer_norm_epsilon" is missing/],
    ['attention.layer_norm_epsilon', -1, 'ConfigError', /normEps is -1/],
    ['context_length', 0, 'ConfigError', /maxContext is 0/],
    ['feed_forward_length', undefined, 'ConfigError', /feed_forward_length" is missing/],
  ] as const)('%s %s: %s', async (key, value, name, message) => {
    const file = withMeta(await ggufOf(architecture), { [`${architecture}.${key}`]: value });
    await expect(described(file)).rejects.toMatchObject({ name, message: expect.stringMatching(message) });
  });
});

const described = async (file: ModelFile) => (await describeGguf(file)).buildGraph('f32');

test.each([
  ['gpt2', { 'gpt2.attention.head_count_kv': 2 }, 'UnsupportedError', /head_count_kv is 2; GPT-2 has one for each/],
  ['gptneox', { 'gptneox.attention.head_count_kv': 2 }, 'UnsupportedError', /head_count_kv is 2; GPT-NeoX has one/],
  ['gptneox', { 'gptneox.use_parallel_residual': undefined }, 'ConfigError', /use_parallel_residual" is missing/],
  ['gptneox', { 'gptneox.rope.dimension_count': 3 }, 'ConfigError', /ropeDim is 3, must be even/],
  ['gptneox', { 'gptneox.rope.scaling.type': 'yarn' }, 'UnsupportedError', /rope\.scaling\.type is "yarn"/],
  [
    'falcon',
    { 'falcon.tensor_data_layout': undefined },
    'ConfigError',
    /tensor_data_layout is null, must be "jploski"/,
  ],
  ['falcon', { 'falcon.attention.head_count_kv': 4 }, 'ConfigError', /nHeads is 6, must be a multiple of nKvHeads=4/],
  ['falcon', { 'falcon.rope.scaling.type': 'linear' }, 'UnsupportedError', /rope\.scaling\.type is "linear"/],
] as const)('a %s file with %o: %s', async (architecture, changes, name, message) => {
  const file = withMeta(await ggufOf(architecture), changes);
  await expect(described(file)).rejects.toMatchObject({ name, message: expect.stringMatching(message) });
});

interface Folder {
  readonly architecture: Name;
  readonly shape?: Partial<RandomModelShape>;
  readonly config: JsonObject;
  /** "blk.0.attn_qkv.weight" -> the name that transformers gives it. */
  nameOf(gguf: string): string;
  /** Whether the tensor is stored transposed. */
  isTransposed?(gguf: string): boolean;
  /** Query, key and value rows stand in groups of one kv head, in this many groups. */
  readonly nGroups?: number;
  /** Tensors that older checkpoints carry along. */
  readonly constants?: readonly string[];
}

const NORM_EPS = Math.fround(1e-5);
const parts = (layers: string, model: Readonly<Record<string, string>>, layer: Readonly<Record<string, string>>) => {
  return (gguf: string): string => {
    const [, number, part, kind] = /^(?:blk\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(gguf)!;
    return number === undefined ? `${model[part!]}.${kind}` : `${layers}.${number}.${layer[part!]}.${kind}`;
  };
};

const GPT2_LAYER = {
  attn_norm: 'ln_1',
  attn_qkv: 'attn.c_attn',
  attn_output: 'attn.c_proj',
  ffn_norm: 'ln_2',
  ffn_up: 'mlp.c_fc',
  ffn_down: 'mlp.c_proj',
};
const GPT2_CONFIG = {
  model_type: 'gpt2',
  vocab_size: 260,
  n_embd: 48,
  n_layer: 2,
  n_head: 6,
  n_inner: 64,
  n_positions: 32,
  layer_norm_epsilon: NORM_EPS,
  activation_function: 'gelu_new',
};
const gpt2: Folder = {
  architecture: 'gpt2',
  config: { ...GPT2_CONFIG, tie_word_embeddings: false },
  nameOf: parts(
    'transformer.h',
    {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    GPT2_LAYER,
  ),
  isTransposed: (name) => /(attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/.test(name),
  constants: ['transformer.h.0.attn.bias', 'transformer.h.1.attn.masked_bias'],
};
const NEOX_CONFIG = {
  model_type: 'gpt_neox',
  vocab_size: 260,
  hidden_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  intermediate_size: 64,
  max_position_embeddings: 32,
  layer_norm_eps: NORM_EPS,
  rotary_pct: 0.25,
  rotary_emb_base: 10000,
  hidden_act: 'gelu',
  use_parallel_residual: true,
};
const neox: Folder = {
  architecture: 'gptneox',
  config: NEOX_CONFIG,
  nameOf: parts(
    'gpt_neox.layers',
    { token_embd: 'gpt_neox.embed_in', output_norm: 'gpt_neox.final_layer_norm', output: 'embed_out' },
    {
      attn_norm: 'input_layernorm',
      attn_qkv: 'attention.query_key_value',
      attn_output: 'attention.dense',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.dense_h_to_4h',
      ffn_down: 'mlp.dense_4h_to_h',
    },
  ),
  nGroups: 6,
  constants: ['gpt_neox.layers.0.attention.rotary_emb.inv_freq', 'gpt_neox.layers.1.attention.bias'],
};
const FALCON_CONFIG = {
  model_type: 'falcon',
  vocab_size: 260,
  hidden_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  ffn_hidden_size: 64,
  max_position_embeddings: 32,
  layer_norm_epsilon: NORM_EPS,
  tie_word_embeddings: false,
};
const falcon = (norms: Readonly<Record<string, string>>): Pick<Folder, 'architecture' | 'nameOf'> => ({
  architecture: 'falcon',
  nameOf: parts(
    'transformer.h',
    { token_embd: 'transformer.word_embeddings', output_norm: 'transformer.ln_f', output: 'lm_head' },
    {
      ...norms,
      attn_qkv: 'self_attention.query_key_value',
      attn_output: 'self_attention.dense',
      ffn_up: 'mlp.dense_h_to_4h',
      ffn_down: 'mlp.dense_4h_to_h',
    },
  ),
});

const FOLDERS: readonly (readonly [string, Folder])[] = [
  ['GPT-2, matrices as [nIn, nOut]', gpt2],
  [
    'GPT-2 without a prefix, tied, as [nOut, nIn]',
    {
      ...gpt2,
      config: GPT2_CONFIG,
      shape: { tied: true },
      isTransposed: () => false,
      nameOf: parts('h', { token_embd: 'wte', position_embd: 'wpe', output_norm: 'ln_f' }, GPT2_LAYER),
      constants: [],
    },
  ],
  ['GPT-NeoX', neox],
  [
    'GPT-NeoX, one after the other, as transformers 5 writes it',
    {
      ...neox,
      shape: { tied: true }, // which the writer of random files takes for "one after the other"
      config: {
        ...NEOX_CONFIG,
        use_parallel_residual: false,
        rotary_pct: null,
        rotary_emb_base: null,
        rope_parameters: { rope_type: 'default', rope_theta: 10000, partial_rotary_factor: 0.25 },
      },
    },
  ],
  [
    'Falcon, new architecture',
    {
      ...falcon({ attn_norm: 'ln_mlp', attn_norm_2: 'ln_attn' }),
      config: { ...FALCON_CONFIG, new_decoder_architecture: true, num_kv_heads: 2, parallel_attn: true },
      nGroups: 2,
    },
  ],
  [
    'Falcon, multi-query',
    {
      ...falcon({ attn_norm: 'input_layernorm' }),
      shape: { nKvHeads: 1 },
      config: { ...FALCON_CONFIG, multi_query: true, num_kv_heads: 71 },
      nGroups: 1,
    },
  ],
];

/** The folder of `file` as transformers would store it. */
async function folderOfModel(file: ModelFile, { nameOf, isTransposed, nGroups, constants = [], config }: Folder) {
  const tensors: SafetensorsTensor[] = constants.map((name) => {
    return { name, dtype: 'F32', shape: [1], data: new Float32Array(1) };
  });
  for (const [name, info] of file.tensors) {
    const [nOut, nIn = 1] = info.shape as [number, number?];
    let data = await valuesOf(info);
    let shape = info.shape;
    if (nGroups !== undefined && name.includes('attn_qkv')) {
      const order = groupedOrder(nOut, nGroups);
      data = Float32Array.from(data, (_, i) => data[order[Math.floor(i / nIn)]! * nIn + (i % nIn)]!);
    }
    if (isTransposed?.(name)) {
      const rows = data;
      shape = [nIn, nOut];
      data = Float32Array.from(rows, (_, i) => rows[(i % nOut) * nIn + Math.floor(i / nOut)]!);
    }
    tensors.push({ name: nameOf(name), dtype: 'F32', shape, data });
  }
  const text = new TextEncoder().encode(JSON.stringify(config));
  return openHfFolder(folderOf({ 'config.json': text, 'model.safetensors': writeSafetensors(tensors) }));
}

async function valuesOf(info: TensorInfo): Promise<Float32Array> {
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  return floatsOf(bytes);
}

/** Rows of all queries, keys, values in the order of groups: the query heads that share a kv head, its key, its value. */
function groupedOrder(nRows: number, nGroups: number): number[] {
  const headDim = SHAPE.dim / SHAPE.nHeads;
  const head = (h: number): number[] => Array.from({ length: headDim }, (_, d) => h * headDim + d);
  const perGroup = SHAPE.nHeads / nGroups;
  const order = Array.from({ length: nGroups }, (_, g) => {
    const queries = Array.from({ length: perGroup }, (__, i) => head(g * perGroup + i)).flat();
    return [...queries, ...head(SHAPE.nHeads + g), ...head(SHAPE.nHeads + nGroups + g)];
  }).flat();
  expect(order.length).toBe(nRows);
  return order;
}

describe.each(FOLDERS)('%s as a folder', (_title, folder) => {
  test('is the model of the GGUF file', async () => {
    const file = await ggufOf(folder.architecture, folder.shape, 'f32');
    const expected = await describeGguf(file);
    const model = await describeHfFolder(await folderOfModel(file, folder));
    expect(model.config).toEqual(expected.config);
    expect([...model.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
    for (const [name, info] of model.tensors) {
      expect(info.shape, name).toEqual(expected.tensors.get(name)!.shape);
      expect(await valuesOf(info), name).toEqual(await valuesOf(expected.tensors.get(name)!));
    }
    expect(graphText(model.buildGraph('f32'))).toBe(graphText(expected.buildGraph('f32')));
  });
});

test('a folder without one of its tensors, or with one more, is refused by name', async () => {
  for (const [, folder] of FOLDERS) {
    const file = await ggufOf(folder.architecture, folder.shape, 'f32');
    const opened = await folderOfModel(file, folder);
    const lacking = folder.nameOf('blk.1.attn_output.weight');
    const less = new Map([...opened.weights.tensors].filter(([name]) => name !== lacking));
    const model = await describeHfFolder({ ...opened, weights: { ...opened.weights, tensors: less } });
    expect(() => model.buildGraph('f32')).toThrow('tensor blk.1.attn_output.weight [48, 48] is missing');
    const head = folder.nameOf('output.weight');
    if (opened.config['tie_word_embeddings'] === false || folder.architecture === 'gptneox') {
      const headless = new Map([...opened.weights.tensors].filter(([name]) => name !== head));
      await expect(describeHfFolder({ ...opened, weights: { ...opened.weights, tensors: headless } })).rejects.toThrow(
        `tensor ${head} is missing`,
      );
    }
    const surplus = lacking.replace('.1.', '.01.');
    const more = new Map(opened.weights.tensors).set(surplus, opened.weights.tensors.get(lacking)!);
    await expect(describeHfFolder({ ...opened, weights: { ...opened.weights, tensors: more } })).rejects.toThrow(
      `tensor ${surplus} has no place in a ${folder.config['model_type']} model`,
    );
  }
});

test.each([
  [GPT2_CONFIG, { n_embd: undefined }, 'ConfigError', /n_embd is missing/],
  [GPT2_CONFIG, { activation_function: 'relu' }, 'UnsupportedError', /activation_function is "relu"; known are gelu/],
  [GPT2_CONFIG, { scale_attn_by_inverse_layer_idx: true }, 'UnsupportedError', /inverse_layer_idx is true/],
  [GPT2_CONFIG, { scale_attn_weights: false }, 'UnsupportedError', /scale_attn_weights is false/],
  [GPT2_CONFIG, { add_cross_attention: true }, 'UnsupportedError', /add_cross_attention is true/],
  [NEOX_CONFIG, { attention_bias: false }, 'UnsupportedError', /attention_bias is false/],
  [NEOX_CONFIG, { hidden_act: 'silu' }, 'UnsupportedError', /hidden_act is "silu"/],
  [NEOX_CONFIG, { rotary_pct: 0.4 }, 'ConfigError', /ropeDim is 3, must be even/],
  [NEOX_CONFIG, { num_attention_heads: 7 }, 'ConfigError', /headDim is 6, must be dim \/ nHeads = 48 \/ 7/],
  [FALCON_CONFIG, { alibi: 8 }, 'UnsupportedError', /alibi is 8; Falcon is run with false, true/],
  [FALCON_CONFIG, { bias: 'all' }, 'UnsupportedError', /bias is "all"/],
  [FALCON_CONFIG, { apply_residual_connection_post_layernorm: true }, 'UnsupportedError', /post_layernorm is true/],
  [
    FALCON_CONFIG,
    { new_decoder_architecture: true, parallel_attn: false },
    'UnsupportedError',
    /parallel_attn is false; the new architecture of Falcon is run with true/,
  ],
  [FALCON_CONFIG, { multi_query: 'yes' }, 'UnsupportedError', /multi_query is "yes"/],
  [
    FALCON_CONFIG,
    { new_decoder_architecture: true, num_ln_in_parallel_attn: 3 },
    'ConfigError',
    /num_ln_in_parallel_attn is 3, must be 1 or 2/,
  ],
] as const)('config.json, change %#, is refused', (config, change, name, message) => {
  const changed = JSON.parse(JSON.stringify({ ...config, ...change })) as JsonObject;
  const read = { gpt2: gpt2ConfigFromHf, gpt_neox: gptNeoxConfigFromHf, falcon: falconConfigFromHf };
  expect(() => read[config.model_type as keyof typeof read](changed)).toThrow(
    expect.objectContaining({ name, message: expect.stringMatching(message) }),
  );
});

test('what a config.json leaves out is what transformers takes', () => {
  const bare = { ...GPT2_CONFIG, n_inner: null, layer_norm_epsilon: undefined, activation_function: undefined };
  expect(gpt2ConfigFromHf(JSON.parse(JSON.stringify(bare)) as JsonObject)).toMatchObject({
    hiddenDim: 192,
    normEps: 1e-5,
    activation: 'gelu_tanh',
  });
  const { rotary_pct: _share, rotary_emb_base: _base, hidden_act: _act, ...neoxRest } = NEOX_CONFIG;
  expect(gptNeoxConfigFromHf({ ...neoxRest, num_attention_heads: 3 })).toMatchObject({
    ropeDim: 4,
    ropeBase: 10000,
    activation: 'gelu',
  });
  expect(falconConfigFromHf({ ...FALCON_CONFIG, multi_query: false })).toMatchObject({ nKvHeads: 6, nNorms: 1 });
  const one = { ...FALCON_CONFIG, new_decoder_architecture: true, num_kv_heads: 3, num_ln_in_parallel_attn: 1 };
  expect(falconConfigFromHf(one)).toMatchObject({ nKvHeads: 3, nNorms: 1 });
});
