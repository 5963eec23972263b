import { describe, expect, test } from 'vitest';
import { optimize } from '../../src/graph/passes/index.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import { countOp } from '../graph/mutants.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';

describe('qwen2', () => {
  const QWEN2: JsonObject = {
    ...hfSizes('grouped'),
    model_type: 'qwen2',
    // Windows that are switched off.
    use_sliding_window: false,
    sliding_window: 64,
    max_window_layers: 1,
  };

  test('a folder has the graph of a GGUF file', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('qwen2', 'grouped');
    const folder = await describeFolder(QWEN2, tensors);
    expect(folder.config).toEqual(gguf.config);
    expect(folder.buildGraph('q8')).toEqual(gguf.buildGraph('q8'));
  });

  test.each([
    [{ use_sliding_window: 1 }, 'ConfigError', /use_sliding_window is 1, expected true or false/],
    [{ use_sliding_window: true, sliding_window: 0 }, 'ConfigError', /sliding window is 0/],
    [{ use_sliding_window: true, max_window_layers: null }, 'ConfigError', /max_window_layers is missing/],
    [{ use_sliding_window: true, layer_types: ['full_attention'] }, 'ConfigError', /expected a kind for each of/],
    [{ layer_types: ['sliding_attention'] }, 'UnsupportedError', /layer_types has "sliding_attention"/],
    [{ hidden_act: 'gelu' }, 'UnsupportedError', /hidden_act is "gelu"; Qwen 2 is run with silu/],
    [{ layer_types: ['full_attention', 'chunked'] }, 'UnsupportedError', /layer_types has "chunked"/],
    [{ layer_types: 'full_attention' }, 'ConfigError', /layer_types is "full_attention", expected an array/],
    [{ rope_scaling: { type: 'other' } }, 'UnsupportedError', /rope type is "other"/],
    [{ partial_rotary_factor: 0.2 }, 'ConfigError', /ropeDim is 3/],
    [{ num_hidden_layers: null }, 'ConfigError', /num_hidden_layers is missing/],
  ])('config.json with %o: %s', async (changes, name, message) => {
    const { tensors } = await ggufAndFolderTensors('qwen2', 'grouped');
    await expect(describeFolder({ ...QWEN2, ...changes } as JsonObject, tensors)).rejects.toMatchObject({
      name,
      message: expect.stringMatching(message),
    });
  });

  test.each([
    [{}, 1, 64], // layer 0 sees all
    [{ max_window_layers: 0, sliding_window: 9 }, 0, 9],
    [{ max_window_layers: 99 }, 99, undefined],
    [{ sliding_window: 100000 }, 99, undefined], // ends where the context does
    [{ sliding_window: null }, 99, undefined],
  ])('windows with %o: from layer %i on, of %s positions', async (changes, first, window) => {
    const { tensors } = await ggufAndFolderTensors('qwen2', 'grouped');
    const folder = await describeFolder({ ...QWEN2, use_sliding_window: true, ...changes }, tensors);
    const windows = folder.buildGraph('q8').nodes.flatMap((n) => (n.op === 'attend_scores' ? [n.window] : []));
    expect(windows).toEqual(windows.map((_, layer) => (layer >= first ? window : undefined)));
    const said = folder.facts.find(([name]) => name === 'window')?.[1];
    const nLocal = windows.length - first;
    expect(said).toBe(window && `${window} positions, in ${nLocal} ${nLocal === 1 ? 'layer' : 'layers'}`);
  });

  test('the three products become one, though biases follow them', async () => {
    const { gguf } = await ggufAndFolderTensors('qwen2', 'grouped');
    expect(countOp(optimize(gguf.buildGraph('q8'), [], ['merge_qkv']), 'concat_weights')).toBe(gguf.config.nLayers);
  });
});

describe('qwen3', () => {
  const QWEN3: JsonObject = {
    ...hfSizes('grouped'),
    model_type: 'qwen3',
    head_dim: 32,
    sliding_window: null,
    rope_scaling: { rope_type: 'yarn', factor: 8, original_max_position_embeddings: 16 },
  };
  const PARTS = { ...USUAL_PARTS, attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };

  test('a folder has the graph of a GGUF file; heads have a size of their own', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('qwen3', 'grouped', PARTS);
    expect(gguf.config).toMatchObject({ dim: 96, nHeads: 6, headDim: 32 });
    const folder = await describeFolder(QWEN3, tensors);
    expect(folder.config).toEqual(gguf.config);
    expect(folder.buildGraph('q8')).toEqual(gguf.buildGraph('q8'));
  });

  test('a head size that is not said is 128', async () => {
    const { tensors } = await ggufAndFolderTensors('qwen3', 'grouped', PARTS);
    expect((await describeFolder({ ...QWEN3, head_dim: null }, tensors)).config.headDim).toBe(128);
  });

  test('biases are refused', async () => {
    const { tensors } = await ggufAndFolderTensors('qwen3', 'grouped', PARTS);
    await expect(describeFolder({ ...QWEN3, attention_bias: true }, tensors)).rejects.toThrow(/attention_bias is true/);
    const biased = new Map(tensors).set('model.layers.0.self_attn.q_proj.bias', tensors.get('model.norm.weight')!);
    const model = await describeFolder(QWEN3, biased);
    expect(() => model.buildGraph('q8')).toThrow(/tensor blk\.0\.attn_q\.bias has no place/);
  });

  test('the three products become one, though norms follow them', async () => {
    const { gguf } = await ggufAndFolderTensors('qwen3', 'grouped', PARTS);
    expect(countOp(optimize(gguf.buildGraph('q8'), [], ['merge_qkv']), 'concat_weights')).toBe(gguf.config.nLayers);
  });
});
