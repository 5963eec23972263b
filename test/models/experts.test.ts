import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Metadata, MetaValue } from '../../src/core/metadata.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { rowsOf } from '../../src/load/derived_tensors.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { describeGguf, type ModelDescription } from '../../src/models/architectures.ts';
import { fileOfCase, LAYOUTS } from '../support/architecture_cases.ts';
import { firstDifference, logitsInChunks } from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';

/** Decoders with experts: folders, whose experts are apart, against GGUF files, which have them stacked. */

interface Family {
  readonly architecture: RandomArchitectureName;
  readonly config: JsonObject;
  readonly parts: Readonly<Record<string, string>>;
  /** Of one layer's experts: GGUF's name, and where a folder has expert e. */
  readonly stacks: Readonly<Record<string, (expert: number) => string>>;
}

const FAMILIES: readonly Family[] = [
  {
    architecture: 'mixtral',
    config: {
      ...hfSizes('grouped'),
      model_type: 'mixtral',
      num_local_experts: 6,
      num_experts_per_tok: 2,
      rope_theta: 10000,
      sliding_window: null,
    },
    parts: { ...USUAL_PARTS, ffn_gate_inp: 'block_sparse_moe.gate' },
    stacks: {
      ffn_gate_exps: (e) => `block_sparse_moe.experts.${e}.w1`,
      ffn_down_exps: (e) => `block_sparse_moe.experts.${e}.w2`,
      ffn_up_exps: (e) => `block_sparse_moe.experts.${e}.w3`,
    },
  },
  {
    architecture: 'qwen2moe',
    config: {
      ...hfSizes('grouped'),
      model_type: 'qwen2_moe',
      tie_word_embeddings: false,
      num_experts: 6,
      num_experts_per_tok: 2,
      moe_intermediate_size: LAYOUTS.grouped.dim,
      shared_expert_intermediate_size: LAYOUTS.grouped.hiddenDim,
      use_sliding_window: false,
    },
    parts: {
      ...USUAL_PARTS,
      ffn_gate_inp: 'mlp.gate',
      ffn_gate_inp_shexp: 'mlp.shared_expert_gate',
      ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
      ffn_up_shexp: 'mlp.shared_expert.up_proj',
      ffn_down_shexp: 'mlp.shared_expert.down_proj',
    },
    stacks: {
      ffn_gate_exps: (e) => `mlp.experts.${e}.gate_proj`,
      ffn_up_exps: (e) => `mlp.experts.${e}.up_proj`,
      ffn_down_exps: (e) => `mlp.experts.${e}.down_proj`,
    },
  },
  {
    architecture: 'qwen3moe',
    config: {
      ...hfSizes('grouped'),
      model_type: 'qwen3_moe',
      num_experts: 6,
      num_experts_per_tok: 2,
      moe_intermediate_size: LAYOUTS.grouped.dim,
      norm_topk_prob: true,
      head_dim: 32,
    },
    parts: {
      ...USUAL_PARTS,
      ffn_gate_inp: 'mlp.gate',
      attn_q_norm: 'self_attn.q_norm',
      attn_k_norm: 'self_attn.k_norm',
    },
    stacks: {
      ffn_gate_exps: (e) => `mlp.experts.${e}.gate_proj`,
      ffn_up_exps: (e) => `mlp.experts.${e}.up_proj`,
      ffn_down_exps: (e) => `mlp.experts.${e}.down_proj`,
    },
  },
];

/** The GGUF file, and the folder's tensors: every expert a tensor of its own, in no order. */
async function bothForms({ architecture, parts, stacks }: Family) {
  const { gguf, tensors } = await ggufAndFolderTensors(architecture, 'grouped', parts);
  for (const [name, info] of gguf.tensors) {
    const [, layer, part] = /^blk\.(\d+)\.(.+)\.weight$/.exec(name) ?? [];
    const nameOf = stacks[part ?? ''];
    if (nameOf === undefined) continue;
    const [nExperts, nOut] = info.shape as [number, number];
    for (let e = nExperts - 1; e >= 0; e--) {
      tensors.set(`model.layers.${layer}.${nameOf(e)}.weight`, rowsOf(info, e * nOut, nOut));
    }
  }
  return { gguf, tensors };
}

describe.each(FAMILIES)('$architecture', (family) => {
  test('a folder is the model of the GGUF file', async () => {
    const { gguf, tensors } = await bothForms(family);
    const folder = await describeFolder(family.config, tensors);
    // Only the order of elements that turn together differs, where GGUF has permuted the rows for it.
    const asHalves = (d: ModelDescription) => ({ ...d.config, ropeLayout: 'halves' });
    expect(folder.config).toEqual(asHalves(gguf));
    const run = async (description: ModelDescription) => {
      const built = description.buildGraph('f32');
      const graph = {
        ...built,
        nodes: built.nodes.map((n) => (n.op === 'rope' ? { ...n, layout: 'halves' as const } : n)),
      };
      const weights = await loadWeights(graph, description.tensors);
      return logitsInChunks(createNaiveExecutor(graph, weights), [1, 77, 130, 299, 5], []);
    };
    expect(firstDifference(await run(folder), await run(gguf))).toBeUndefined();
  });

  const expertOf = (e: number): string => `model.layers.1.${family.stacks['ffn_up_exps']!(e)}.weight`;
  const refusal = (change: (tensors: Map<string, TensorInfo>) => void, config: object = {}) =>
    expect(
      bothForms(family).then(({ tensors }) => {
        change(tensors);
        return describeFolder({ ...family.config, ...config } as JsonObject, tensors);
      }),
    ).rejects;

  test('an expert that is missing, one too many, of another shape, or another part is named', async () => {
    await refusal((tensors) => tensors.delete(expertOf(3))).toThrow(
      /blk\.1\.ffn_up_exps\.weight.*: expert 3 of 6 is missing/,
    );
    await refusal((tensors) => tensors.set(expertOf(6), tensors.get(expertOf(3))!)).toThrow(
      /experts\.6\..* has no place among 6 experts/,
    );
    await refusal((tensors) => tensors.set(expertOf(2), rowsOf(tensors.get(expertOf(2))!, 0, 5))).toThrow(
      /do not stack/,
    );
    const other = expertOf(0).replace(/[a-z0-9_]+\.weight$/, 'w9.weight');
    await refusal((tensors) => tensors.set(other, tensors.get(expertOf(0))!)).toThrow(/w9\.weight has no place/);
  });

  test('a choice that cannot be is named', async () => {
    await refusal(() => {}, { num_experts_per_tok: 7 }).toThrow(
      /experts of a row is 7, must be an integer from 1 to 6/,
    );
    await refusal(() => {}, { num_experts_per_tok: null }).toThrow(/num_experts_per_tok is missing/);
  });
});

test('what changes the result is refused by name: of folders', async () => {
  const [, qwen2, qwen] = FAMILIES as [Family, Family, Family];
  const { tensors } = await bothForms(qwen);
  const wrong: [object, RegExp][] = [
    [{ mlp_only_layers: [0] }, /mlp_only_layers is \[0\]/],
    [{ decoder_sparse_step: 2 }, /decoder_sparse_step is 2/],
    [{ norm_topk_prob: 'yes' }, /norm_topk_prob is "yes", expected true or false/],
    [{ use_sliding_window: true }, /use_sliding_window is true/],
  ];
  for (const [change, message] of wrong) {
    await expect(describeFolder({ ...qwen.config, ...change } as JsonObject, tensors)).rejects.toThrow(message);
  }
  const unscaled = await describeFolder({ ...qwen.config, norm_topk_prob: false }, tensors);
  const weightsOf = (model: ModelDescription) => model.buildGraph('f32').nodes.find((n) => n.op === 'expert_weights');
  expect(weightsOf(unscaled)).toMatchObject({ isNormalized: false });

  const shared = (await bothForms(qwen2)).tensors;
  const describe2 = (change: object) => describeFolder({ ...qwen2.config, ...change } as JsonObject, shared);
  await expect(describe2({ qkv_bias: false })).rejects.toThrow(/qkv_bias is false; Qwen 2 is run with true/);
  await expect(describe2({ shared_expert_intermediate_size: null })).rejects.toThrow(/intermediate_size is missing/);
  await expect(describe2({ shared_expert_intermediate_size: 0 })).rejects.toThrow(/of the shared expert is 0/);
  await expect(describe2({ mlp_only_layers: [0] })).rejects.toThrow(/mlp_only_layers is \[0\]; Qwen 2 is run/);
  await expect(describe2({ use_sliding_window: true })).rejects.toThrow(/use_sliding_window is true/);
  expect(weightsOf(await describe2({ norm_topk_prob: true }))).toMatchObject({ isNormalized: true });
  expect(weightsOf(await describe2({}))).toMatchObject({ isNormalized: false });
});

test('and of GGUF files', async () => {
  const bytesOf = (architecture: RandomArchitectureName) =>
    fileOfCase({ architecture, layout: 'grouped', format: 'f32', seed: 1 });
  const file = await openGguf(bufferSource('mixtral.gguf', bytesOf('mixtral')));
  const qwen2 = await openGguf(bufferSource('qwen2moe.gguf', bytesOf('qwen2moe')));
  const describeWith = (changes: Record<string, MetaValue | undefined>, of = file) => {
    const metadata: Metadata = new Map(
      [...of.metadata, ...Object.entries(changes)].filter((pair): pair is [string, MetaValue] => pair[1] !== undefined),
    );
    return expect(describeGguf({ ...of, metadata }));
  };
  await describeWith({ 'llama.expert_weights_scale': 1, 'llama.expert_gating_func': 1 }).resolves.toBeDefined();
  await describeWith({ 'llama.expert_weights_scale': 2.5 }).rejects.toThrow(/expert_weights_scale is 2\.5/);
  await describeWith({ 'llama.expert_gating_func': 2 }).rejects.toThrow(/expert_gating_func is 2/);
  await describeWith({ 'llama.expert_shared_count': 1 }).rejects.toThrow(/expert_shared_count is 1/);
  await describeWith({ 'llama.expert_used_count': 7 }).rejects.toThrow(/experts of a row is 7/);
  const ofShared = { 'qwen2moe.expert_shared_feed_forward_length': 7, 'qwen2moe.expert_weights_norm': false };
  await describeWith(ofShared, qwen2).resolves.toMatchObject({ config: { sharedDim: 7 } });
  await describeWith({ 'qwen2moe.expert_weights_norm': true }, qwen2).rejects.toThrow(/expert_weights_norm is true/);
  await describeWith({ 'llama.expert_count': 10 ** 9 }).rejects.toThrow(/nExperts is 1000000000/);
});
