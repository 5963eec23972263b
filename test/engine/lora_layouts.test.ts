import { describe, expect, test } from 'vitest';
import { withAdapters } from '../../src/engine/adapters.ts';
import { rowsPermuted } from '../../src/load/derived_tensors.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { transposed } from '../../src/load/transposed.ts';
import type { ModelDescription } from '../../src/models/architectures.ts';
import { LAYOUTS } from '../support/architecture_cases.ts';
import { executorOfGraph, F32_TIERS, firstDifference, logitsInChunks, type TierName } from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';
import {
  type Adapter,
  fileSource,
  folderSource,
  ggufLora,
  type LoraWeights,
  peftFiles,
  randomPair,
} from '../support/lora_cases.ts';

/** Adapters of PEFT on models whose matrices lie in another way than where the adapter was trained. */

const IDS = [1, 77, 130, 299, 5, 12];
const LAYOUT = 'own kv heads';
const { dim, hiddenDim, nHeads } = LAYOUTS[LAYOUT];

/** As in test/models/encoders.test.ts: f32 rounds 2^29 times as much as float64. */
const FINER = 2 ** -15;

type Open = Parameters<typeof withAdapters>[1][number]['open'];

async function adapted(model: ModelDescription, open: Open, isMerged = false): Promise<ModelDescription> {
  return (await withAdapters(model, [{ open }], isMerged)).description;
}

async function logitsOf(tier: TierName, { buildGraph, tensors }: ModelDescription): Promise<number[]> {
  const executor = await executorOfGraph(tier, buildGraph('f32'), tensors);
  const logits = logitsInChunks(executor, IDS, []);
  executor.dispose();
  return logits;
}

const farthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

describe('on a GGUF file', () => {
  /** Products of both layers: GGUF's name, the folder's name, and the pair. */
  const pairs = [0, 1].flatMap((layer) =>
    (
      [
        ['attn_q', dim, dim],
        ['attn_k', dim, dim],
        ['attn_v', dim, dim],
        ['ffn_down', dim, hiddenDim],
      ] as const
    ).map(([part, nOut, nIn], i): [string, string, LoraWeights] => {
      const inFolder = `model.layers.${layer}.${USUAL_PARTS[part]}.weight`;
      return [`blk.${layer}.${part}.weight`, inFolder, randomPair(4, nIn, nOut, 10 * layer + i)];
    }),
  );
  const inFolder: Adapter = new Map(pairs.map(([, name, pair]) => [name, pair]));
  const inGguf: Adapter = new Map(pairs.map(([name, , pair]) => [name, pair]));

  async function bothForms(
    architecture: RandomArchitectureName,
    change: (name: string, info: TensorInfo) => TensorInfo,
  ) {
    const { gguf, tensors } = await ggufAndFolderTensors(architecture, LAYOUT);
    const changed = new Map([...tensors].map(([name, info]) => [name, change(name, info)]));
    const config: JsonObject = { ...hfSizes(LAYOUT), model_type: architecture, rope_theta: 10000, hidden_act: 'silu' };
    return { gguf, folder: await describeFolder(config, changed) };
  }

  test('of Qwen 2, it has the bits of the folder', async () => {
    const { gguf, folder } = await bothForms('qwen2', (_, info) => info);
    const open = folderSource(peftFiles(inFolder));
    const expected = await logitsOf('naive', await adapted(folder, open));
    for (const tier of F32_TIERS) {
      expect(firstDifference(await logitsOf(tier, await adapted(gguf, open)), expected), tier).toBeUndefined();
    }
  });

  test('of Llama, whose rows of q and k are in another order, it is the model of the folder', async () => {
    // Row (half, i) of a head in a folder is row 2 i + half in a GGUF file.
    const headDim = dim / nHeads;
    const asHalves = (info: TensorInfo) =>
      rowsPermuted(info, (row) => {
        const at = row % headDim;
        return row - at + 2 * (at % (headDim / 2)) + Math.floor(at / (headDim / 2));
      });
    const isTurned = (name: string) => /self_attn\.[qk]_proj\.weight$/.test(name);
    const { gguf, folder } = await bothForms('llama', (name, info) => (isTurned(name) ? asHalves(info) : info));
    const open = folderSource(peftFiles(inFolder));
    const truth = await logitsOf('naive64', await adapted(folder, open));
    for (const isMerged of [false, true]) {
      const model = await adapted(gguf, open, isMerged);
      const naive = await logitsOf('naive', model);
      // A merged weight is rounded to f32, in either form alike.
      const reference = isMerged ? await logitsOf('naive64', await adapted(folder, open, true)) : truth;
      expect(farthest(await logitsOf('naive64', model), reference)).toBeLessThanOrEqual(
        FINER * farthest(naive, reference),
      );
      for (const tier of F32_TIERS.slice(1)) {
        expect(firstDifference(await logitsOf(tier, model), naive), tier).toBeUndefined();
      }
    }
    // With the rows of B as they are, it is another model.
    const unordered = await adapted(gguf, fileSource(ggufLora(inGguf)));
    const naive = await logitsOf('naive', unordered);
    expect(farthest(await logitsOf('naive64', unordered), truth)).toBeGreaterThan(FINER * farthest(naive, truth));
  });
});

describe("on GPT-2's own files, whose matrices are [in, out]", () => {
  const PARTS = {
    token_embd: 'wte',
    position_embd: 'wpe',
    output_norm: 'ln_f',
    output: 'lm_head',
    attn_norm: 'ln_1',
    attn_qkv: 'attn.c_attn',
    attn_output: 'attn.c_proj',
    ffn_norm: 'ln_2',
    ffn_up: 'mlp.c_fc',
    ffn_down: 'mlp.c_proj',
  };
  const CONFIG: JsonObject = {
    model_type: 'gpt2',
    vocab_size: LAYOUTS[LAYOUT].vocab,
    n_embd: dim,
    n_layer: LAYOUTS[LAYOUT].nLayers,
    n_head: nHeads,
    n_inner: hiddenDim,
    n_positions: LAYOUTS[LAYOUT].maxContext,
    layer_norm_epsilon: Math.fround(1e-5),
    activation_function: 'gelu_new',
    tie_word_embeddings: false,
  };
  const SIZES = [
    ['attn_qkv', 3 * dim, dim],
    ['attn_output', dim, dim],
    ['ffn_up', hiddenDim, dim],
    ['ffn_down', dim, hiddenDim],
  ] as const;

  test.each(['transformer.', ''])(
    'with the prefix "%s": the bits of the GGUF adapter on the GGUF file',
    async (prefix) => {
      const { gguf, tensors } = await ggufAndFolderTensors('gpt2', LAYOUT, PARTS);
      const asStored = [...tensors].map(([name, info]): [string, TensorInfo] => {
        const inFolder = name === 'lm_head.weight' ? name : `${prefix}${name.replace('model.layers.', 'h.')}`;
        const isMatrix = /(c_attn|c_proj|c_fc)\.weight$/.test(name);
        return [inFolder, { ...(isMatrix ? transposed(info) : info), name: inFolder }];
      });
      const folder = await describeFolder(CONFIG, new Map(asStored));
      const pairs = SIZES.map(([part, nOut, nIn], i) => [part, randomPair(4, nIn, nOut, i)] as const);
      // PEFT wraps a GPT2LMHeadModel, whatever the file was saved from.
      const inFolder: Adapter = new Map(pairs.map(([part, pair]) => [`transformer.h.1.${PARTS[part]}.weight`, pair]));
      const inGguf: Adapter = new Map(pairs.map(([part, pair]) => [`blk.1.${part}.weight`, pair]));
      const [ofPeft, ofGguf] = [
        folderSource(peftFiles(inFolder, { fan_in_fan_out: true })),
        fileSource(ggufLora(inGguf, { architecture: 'gpt2' })),
      ];
      const plain = await logitsOf('naive', gguf);
      for (const isMerged of [false, true]) {
        const expected = await logitsOf('naive', await adapted(gguf, ofGguf, isMerged));
        expect(firstDifference(expected, plain)).toBeDefined();
        const model = await adapted(folder, ofPeft, isMerged);
        for (const tier of F32_TIERS) {
          expect(firstDifference(await logitsOf(tier, model), expected), tier).toBeUndefined();
        }
      }
    },
  );
});

describe('on folders whose rows of queries, keys and values stand in groups', () => {
  const NEOX = {
    token_embd: 'gpt_neox.embed_in',
    output_norm: 'gpt_neox.final_layer_norm',
    output: 'embed_out',
    attn_norm: 'input_layernorm',
    attn_qkv: 'attention.query_key_value',
    attn_output: 'attention.dense',
    ffn_norm: 'post_attention_layernorm',
    ffn_up: 'mlp.dense_h_to_4h',
    ffn_down: 'mlp.dense_4h_to_h',
  };
  const headDim = dim / nHeads;
  /** Of GGUF's rows, all queries, all keys, all values: the row of query h, key h, value h, head by head. */
  const ungroupedRow = (row: number): number => {
    const [head, part] = [Math.floor(row / (3 * headDim)), Math.floor(row / headDim) % 3];
    return part * dim + head * headDim + (row % headDim);
  };

  test('it has the bits of the GGUF adapter on the GGUF file', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('gptneox', LAYOUT, NEOX);
    const asStored = [...tensors].map(([name, info]): [string, TensorInfo] => {
      const inFolder = name.replace('model.layers.', 'gpt_neox.layers.');
      if (!name.includes('query_key_value')) return [inFolder, { ...info, name: inFolder }];
      const asRows = info.shape.length === 1 ? { ...info, shape: [info.shape[0]!, 1] } : info;
      return [inFolder, { ...rowsPermuted(asRows, ungroupedRow), name: inFolder, shape: info.shape }];
    });
    const config: JsonObject = {
      ...hfSizes(LAYOUT),
      model_type: 'gpt_neox',
      layer_norm_eps: Math.fround(1e-5),
      rotary_pct: 4 / headDim, // of the random file
      use_parallel_residual: !LAYOUTS[LAYOUT].tied,
    };
    const folder = await describeFolder(config, new Map(asStored));
    const pair = randomPair(4, dim, 3 * dim, 5);
    const grouped = { ...pair, b: pair.b.map((_, i) => pair.b[4 * ungroupedRow(Math.floor(i / 4)) + (i % 4)]!) };
    const ofPeft = folderSource(peftFiles(new Map([['gpt_neox.layers.1.attention.query_key_value.weight', grouped]])));
    const ofGguf = fileSource(ggufLora(new Map([['blk.1.attn_qkv.weight', pair]]), { architecture: 'gptneox' }));
    const plain = await logitsOf('naive', gguf);
    expect(firstDifference(await logitsOf('naive', folder), plain)).toBeUndefined();
    for (const isMerged of [false, true]) {
      const expected = await logitsOf('naive', await adapted(gguf, ofGguf, isMerged));
      expect(firstDifference(expected, plain)).toBeDefined();
      const model = await adapted(folder, ofPeft, isMerged);
      for (const tier of F32_TIERS) {
        expect(firstDifference(await logitsOf(tier, model), expected), tier).toBeUndefined();
      }
    }
  });
});
