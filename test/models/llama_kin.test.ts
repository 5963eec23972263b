import { describe, expect, test } from 'vitest';
import { optimize } from '../../src/graph/passes/index.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { SmolLm3Config } from '../../src/models/smollm3.ts';
import { countOp } from '../graph/mutants.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';

describe('olmo2', () => {
  const OLMO2: JsonObject = { ...hfSizes('own kv heads'), model_type: 'olmo2' };
  const { ffn_norm: _none, attn_norm: _neither, ...others } = USUAL_PARTS;
  const PARTS = {
    ...others,
    attn_q_norm: 'self_attn.q_norm',
    attn_k_norm: 'self_attn.k_norm',
    post_attention_norm: 'post_attention_layernorm',
    post_ffw_norm: 'post_feedforward_layernorm',
  };

  test('a folder has the graph of a GGUF file', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('olmo2', 'own kv heads', PARTS);
    const folder = await describeFolder(OLMO2, tensors);
    expect(folder.config).toEqual(gguf.config);
    expect(folder.buildGraph('q8')).toEqual(gguf.buildGraph('q8'));
  });

  test('norms in front of attention and biases have no place', async () => {
    const { tensors } = await ggufAndFolderTensors('olmo2', 'own kv heads', PARTS);
    await expect(describeFolder({ ...OLMO2, attention_bias: true }, tensors)).rejects.toThrow(/attention_bias is true/);
    const name = 'model.layers.0.input_layernorm.weight';
    const more = new Map(tensors).set(name, tensors.get('model.norm.weight')!);
    await expect(describeFolder(OLMO2, more)).rejects.toThrow(`tensor ${name} has no place in a olmo2 model`);
  });

  test('the products of attention and of the gate become one each', async () => {
    const { gguf } = await ggufAndFolderTensors('olmo2', 'grouped', PARTS);
    const graph = optimize(gguf.buildGraph('q8'), [], ['merge_qkv', 'merge_gate_up']);
    expect(countOp(graph, 'concat_weights')).toBe(2 * gguf.config.nLayers);
  });
});

describe('smollm3', () => {
  const SMOLLM3: JsonObject = { ...hfSizes('grouped'), model_type: 'smollm3', rope_theta: 10000 };

  test('a folder has the config of a GGUF file, but for the layout of the rope', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('smollm3', 'grouped');
    const folder = await describeFolder(SMOLLM3, tensors);
    expect(folder.config).toEqual({ ...gguf.config, ropeLayout: 'halves' });
    expect((gguf.config as SmolLm3Config).ropeLayers).toEqual([true, true, true, false, true, true]);
    expect(countOp(folder.buildGraph('q8'), 'rope')).toBe(10);
  });

  test.each([
    [{ no_rope_layers: [1, 0, 1, 0, 1, 0] }, [true, false, true, false, true, false]],
    [{ no_rope_layer_interval: 2 }, [true, false, true, false, true, false]],
    [{ no_rope_layers: [1, 1, 1, 1, 1, 1], no_rope_layer_interval: 2 }, [true, true, true, true, true, true]],
  ])('layers that turn: %o', async (changes, expected) => {
    const { tensors } = await ggufAndFolderTensors('smollm3', 'grouped');
    expect((await describeFolder({ ...SMOLLM3, ...changes }, tensors)).config).toMatchObject({ ropeLayers: expected });
  });

  test.each([
    [{ no_rope_layers: [1, 0] }, /no_rope_layers is \[1,0\], expected 0 or 1 for each of 6 layers/],
    [{ no_rope_layers: 'none' }, /no_rope_layers is "none"/],
    [{ no_rope_layer_interval: 0 }, /no_rope_layer_interval is 0/],
    [{ mlp_bias: true }, /mlp_bias is true/],
    [{ attention_bias: true }, /attention_bias is true/],
    [{ use_sliding_window: true }, /use_sliding_window is true/],
  ])('refused: %o', async (changes, message) => {
    const { tensors } = await ggufAndFolderTensors('smollm3', 'grouped');
    await expect(describeFolder({ ...SMOLLM3, ...changes }, tensors)).rejects.toThrow(message);
  });

  test('what the class says where config.json does not: tied, base 2e6', async () => {
    const { tensors } = await ggufAndFolderTensors('smollm3', 'grouped');
    const { tie_word_embeddings: _tied, rope_theta: _base, ...config } = SMOLLM3;
    expect((await describeFolder(config, tensors)).config).toMatchObject({ ropeBase: 2e6 });
  });
});
