import { describe, expect, test } from 'vitest';
import { optimize } from '../../src/graph/passes/index.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import { countOp } from '../graph/mutants.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes } from '../support/hf_folders.ts';

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
    [{ use_sliding_window: true }, 'UnsupportedError', /use_sliding_window is true/],
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

  test('the three products become one, though biases follow them', async () => {
    const { gguf } = await ggufAndFolderTensors('qwen2', 'grouped');
    expect(countOp(optimize(gguf.buildGraph('q8'), [], ['merge_qkv']), 'concat_weights')).toBe(gguf.config.nLayers);
  });
});
