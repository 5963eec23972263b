import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { buildGemma } from '../../src/models/gemma.ts';
import { type GemmaConfig, gemmaConfigFromGguf, gemmaConfigFromHf } from '../../src/models/gemma_config.ts';
import { distanceOf, fileOfCase, logitsOfCase, PROMPTS, spreadOf } from '../support/architecture_cases.ts';
import { mostShareOf, readGoldens } from '../support/architecture_goldens.ts';
import { firstDifference, logitsInChunks } from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';

const NAMES = ['gemma', 'gemma2', 'gemma3'] as const;

/** The random files' own settings, in the words of config.json. */
const CONFIGS: Readonly<Record<(typeof NAMES)[number], JsonObject>> = {
  gemma: { model_type: 'gemma', hidden_act: 'gelu', head_dim: 32 },
  gemma2: {
    model_type: 'gemma2',
    hidden_activation: 'gelu_pytorch_tanh',
    head_dim: 32,
    sliding_window: 8,
    query_pre_attn_scalar: 32,
    attn_logit_softcapping: 1.5,
    final_logit_softcapping: 3,
  },
  gemma3: {
    model_type: 'gemma3_text',
    hidden_activation: 'gelu_pytorch_tanh',
    head_dim: 32,
    sliding_window: 8,
    sliding_window_pattern: 6,
    query_pre_attn_scalar: 32,
    rope_theta: 1e6,
    rope_local_base_freq: 10000,
    rope_scaling: { rope_type: 'linear', factor: 8 },
    attn_logit_softcapping: null,
    final_logit_softcapping: null,
  },
};
const FOUR_NORMS = {
  ...USUAL_PARTS,
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
};
const partsOf = (name: string) => (name === 'gemma' ? USUAL_PARTS : FOUR_NORMS);

async function folderOf(name: (typeof NAMES)[number], changes: JsonObject = {}) {
  const { gguf, tensors } = await ggufAndFolderTensors(name, 'grouped', partsOf(name));
  return { gguf, folder: await describeFolder({ ...hfSizes('grouped'), ...CONFIGS[name], ...changes }, tensors) };
}

const floatsOf = async (info: TensorInfo): Promise<Float32Array> => {
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  return new Float32Array(bytes.buffer);
};

describe.each(NAMES)('a folder of %s', (name) => {
  test('has the graph of a GGUF file', async () => {
    const { gguf, folder } = await folderOf(name);
    expect(folder.config).toEqual(gguf.config);
    expect(folder.buildGraph('q8')).toEqual(gguf.buildGraph('q8'));
  });

  test('has its norms as their distance from 1, and nothing else', async () => {
    const { gguf, folder } = await folderOf(name);
    let nNorms = 0;
    for (const [part, info] of folder.tensors) {
      const stored = await floatsOf(gguf.tensors.get(part)!);
      const isNorm = part.endsWith('norm.weight');
      if (isNorm) nNorms++;
      expect(firstDifference(await floatsOf(info), isNorm ? stored.map((v) => v + 1) : stored), part).toBeUndefined();
    }
    expect(nNorms).toBe({ gemma: 2, gemma2: 4, gemma3: 6 }[name] * 6 + 1);
  });
});

describe('what a config.json may say in two ways', () => {
  test.each([
    ['the kinds of layers', 'gemma2', { layer_types: ['s', 'f', 's', 'f', 's', 'f'].map(kindOf) }],
    ['and of Gemma 3', 'gemma3', { layer_types: ['s', 's', 's', 's', 's', 'f'].map(kindOf) }],
    [
      'the rope by the kind of layer',
      'gemma3',
      {
        rope_theta: null,
        rope_scaling: null,
        rope_local_base_freq: null,
        rope_parameters: {
          full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1e6 },
          sliding_attention: { rope_type: 'default', rope_theta: 10000 },
        },
      },
    ],
    ['what is left out is what transformers has', 'gemma3', { rope_theta: null, rope_local_base_freq: null }],
    ['the activation by its newer name', 'gemma', { hidden_act: 'gelu', hidden_activation: 'gelu_pytorch_tanh' }],
  ] as const)('%s: %s', async (_what, name, changes) => {
    const { gguf, folder } = await folderOf(name, changes as JsonObject);
    expect(folder.buildGraph('q8')).toEqual(gguf.buildGraph('q8'));
  });

  test('layers of another order are another graph', async () => {
    const { gguf, folder } = await folderOf('gemma2', { layer_types: ['f', 's', 'f', 's', 'f', 's'].map(kindOf) });
    expect(folder.buildGraph('q8')).not.toEqual(gguf.buildGraph('q8'));
  });
});

function kindOf(letter: string): string {
  return letter === 's' ? 'sliding_attention' : 'full_attention';
}

describe('the text half of a Gemma 3 that sees', () => {
  const { model_type: _type, ...text } = CONFIGS.gemma3;
  const CONFIG: JsonObject = {
    model_type: 'gemma3',
    text_config: { ...hfSizes('grouped'), ...text, model_type: 'gemma3_text' },
    vision_config: { hidden_size: 1152 },
  };
  const folder = async (config: JsonObject, textPrefix: string, picturePrefix: string) => {
    const { gguf, tensors } = await ggufAndFolderTensors('gemma3', 'grouped', FOUR_NORMS);
    const [, one] = [...tensors][0]!;
    const all = new Map([...tensors].map(([name, info]) => [name.replace(/^model\./, textPrefix), info]));
    for (const part of ['vision_tower.patch.weight', 'multi_modal_projector.norm.weight'])
      all.set(picturePrefix + part, one);
    return { gguf, model: await describeFolder(config, all) };
  };

  test.each([
    ['older', 'language_model.model.', ''],
    ['newer', 'model.language_model.', 'model.'],
  ])('is the model of text, in %s folders', async (_age, textPrefix, picturePrefix) => {
    const { gguf, model } = await folder(CONFIG, textPrefix, picturePrefix);
    expect(model.buildGraph('q8')).toEqual(gguf.buildGraph('q8'));
  });

  test('its config is needed; what that leaves out is what transformers has', async () => {
    await expect(folder({ model_type: 'gemma3' }, 'model.', '')).rejects.toThrow(/text_config is missing/);
    const published: JsonObject = {
      model_type: 'gemma3',
      text_config: {
        hidden_size: 2560,
        intermediate_size: 10240,
        model_type: 'gemma3_text',
        num_hidden_layers: 34,
        rope_scaling: { factor: 8, rope_type: 'linear' },
        sliding_window: 1024,
      },
    };
    expect((await folder(published, 'model.language_model.', 'model.')).model.config).toMatchObject({
      ...{ vocab: 262208, nHeads: 8, nKvHeads: 4, headDim: 256, maxContext: 131072, window: 1024, queryScale: 1 / 16 },
      ...{ ropeBase: 1e6, ropeScaling: { kind: 'linear', factor: 8 }, localRopeBase: 10000, normEps: 1e-6 },
    });
  });
});

describe('what cannot be run is refused by name', () => {
  test.each([
    [
      'gemma',
      { hidden_activation: 'gelu' },
      'UnsupportedError',
      /act is "gelu"; Gemma 1 is run with gelu_pytorch_tanh/,
    ],
    ['gemma2', { hidden_activation: 'silu' }, 'UnsupportedError', /act is "silu"/],
    ['gemma2', { sliding_window: null }, 'ConfigError', /sliding_window is missing/],
    ['gemma2', { query_pre_attn_scalar: null }, 'ConfigError', /query_pre_attn_scalar is missing/],
    ['gemma2', { query_pre_attn_scalar: 0 }, 'ConfigError', /scale of queries is Infinity/],
    ['gemma2', { final_logit_softcapping: -30 }, 'ConfigError', /final_logit_softcapping is -30/],
    ['gemma2', { sliding_window: 0 }, 'ConfigError', /sliding window is 0/],
    ['gemma2', { layer_types: ['full_attention'] }, 'ConfigError', /expected a kind for each of 6 layers/],
    ['gemma2', { layer_types: Array(6).fill('chunked') }, 'UnsupportedError', /layer_types has "chunked"/],
    ['gemma3', { sliding_window_pattern: 0 }, 'ConfigError', /every 0th layer is global/],
    ['gemma3', { use_bidirectional_attention: true }, 'UnsupportedError', /use_bidirectional_attention is true/],
    [
      'gemma3',
      { rope_parameters: { full_attention: {}, sliding_attention: { rope_type: 'yarn' } } },
      'UnsupportedError',
      /rope_type is "yarn"; a local layer/,
    ],
  ] as const)('%s with %o', async (name, changes, error, message) => {
    await expect(folderOf(name, changes as unknown as JsonObject)).rejects.toMatchObject({
      name: error,
      message: expect.stringMatching(message),
    });
  });
});

test.each(['wasm', 'naive'] as const)(
  '%s: a cache whose window covers the sequence changes no bit',
  async (executor) => {
    const one = { architecture: 'gemma3', layout: 'grouped', format: 'f32', seed: 5 } as const;
    const whole = await logitsOfCase(one, { executor });
    const windowed = await logitsOfCase(one, { executor, kv: { kind: 'lossy', window: 64, sinks: 4 } });
    for (const [i, row] of windowed.entries()) expect(firstDifference(row, whole[i]!)).toBeUndefined();
  },
);

test('a cap that config.json leaves out is that of Gemma 2, and one that is null is none', () => {
  const { attn_logit_softcapping, final_logit_softcapping, ...silent } = { ...hfSizes('grouped'), ...CONFIGS.gemma2 };
  expect(gemmaConfigFromHf(silent as JsonObject, 2)).toMatchObject({ attentionCap: 50, logitCap: 30 });
  const none = { ...silent, attn_logit_softcapping: null, final_logit_softcapping: null } as JsonObject;
  expect(gemmaConfigFromHf(none, 2)).toMatchObject({ attentionCap: undefined, logitCap: undefined });
});

/** What is wrong with a model that has one of these; each must be further from llama.cpp's logits than its f16 GELU is. */
const MISTAKES: Readonly<
  Record<'gemma2' | 'gemma3', Readonly<Record<string, (c: GemmaConfig) => Partial<GemmaConfig>>>>
> = {
  gemma2: {
    'a window that is longer': () => ({ window: 12 }),
    'no window': () => ({ window: undefined as never }),
    'local layers are the other ones': ({ isLocal }) => ({ isLocal: isLocal.map((local) => !local) }),
    'scores are not capped': () => ({ attentionCap: undefined }),
    'logits are not capped': () => ({ logitCap: undefined }),
    'the scale of heads of another size': ({ queryScale }) => ({ queryScale: queryScale * Math.SQRT2 }),
  },
  gemma3: {
    'a window that is longer': () => ({ window: 12 }),
    'all layers are local': ({ isLocal }) => ({ isLocal: isLocal.map(() => true) }),
    'local layers turn as global ones': ({ ropeBase }) => ({ localRopeBase: ropeBase }),
    'global layers are not stretched': () => ({ ropeScaling: { kind: 'none' } }),
    'products are not scaled': () => ({ queryScale: 1 }),
  },
};

describe.each(['gemma2', 'gemma3'] as const)('the golden of %s tells', (name) => {
  const golden = readGoldens().find(({ architecture }) => architecture === name)!;
  const { layout, seed, logits } = golden.models.find((model) => model.layout === 'grouped')!;
  const shareOf = async (mistake: (c: GemmaConfig) => Partial<GemmaConfig>): Promise<number> => {
    const file = await openGguf(
      bufferSource('x.gguf', fileOfCase({ architecture: name, layout, format: 'f32', seed })),
    );
    const config = gemmaConfigFromGguf(file.metadata, name === 'gemma2' ? 2 : 3);
    const graph = buildGemma({ ...config, ...mistake(config) }, file.tensors, 'f32');
    const executor = createNaive64Executor(graph, await loadWeights(graph, file.tensors));
    const rows = [logitsInChunks(executor, PROMPTS.at(-1)!, []).slice(-config.vocab)]; // the longest one
    return distanceOf(logits.slice(-1), rows) / spreadOf(rows);
  };
  test.each(Object.entries(MISTAKES[name]))('%s', async (_what, mistake) => {
    expect(await shareOf(mistake)).toBeGreaterThan(mostShareOf(name));
  });
});
