import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Metadata, MetaValue } from '../../src/core/metadata.ts';
import { gamma64 } from '../../src/core/sum.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { rowsOf } from '../../src/load/derived_tensors.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { describeGguf, type ModelDescription } from '../../src/models/architectures.ts';
import type { DeepseekConfig } from '../../src/models/deepseek_config.ts';
import { fileOfCase, LAYOUTS } from '../support/architecture_cases.ts';
import { firstDifference, logitsInChunks } from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';

/** DeepSeek from folders against its GGUF files, and what is refused. */

const { dim, nHeads } = LAYOUTS['one kv head'];
const KEY_DIM = dim / nHeads;
const [LATENT_DIM, ROPE_DIM] = [20, 8];

const V3: JsonObject = {
  ...hfSizes('one kv head'),
  model_type: 'deepseek_v3',
  q_lora_rank: dim,
  kv_lora_rank: LATENT_DIM,
  qk_nope_head_dim: KEY_DIM,
  qk_rope_head_dim: ROPE_DIM,
  v_head_dim: KEY_DIM,
  first_k_dense_replace: 1,
  moe_intermediate_size: dim,
  n_routed_experts: 6,
  n_shared_experts: 2,
  num_experts_per_tok: 2,
  n_group: 2,
  topk_group: 1,
  topk_method: 'noaux_tc',
  scoring_func: 'sigmoid',
  norm_topk_prob: true,
  routed_scaling_factor: 2.5,
  rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 32, mscale: 0.625, mscale_all_dim: 0.625 },
};

const PARTS = {
  ...USUAL_PARTS,
  attn_q_a: 'self_attn.q_a_proj',
  attn_q_a_norm: 'self_attn.q_a_layernorm',
  attn_q_b: 'self_attn.q_b_proj',
  attn_kv_a_mqa: 'self_attn.kv_a_proj_with_mqa',
  attn_kv_a_norm: 'self_attn.kv_a_layernorm',
  ffn_gate_inp: 'mlp.gate',
  ffn_gate_shexp: 'mlp.shared_experts.gate_proj',
  ffn_up_shexp: 'mlp.shared_experts.up_proj',
  ffn_down_shexp: 'mlp.shared_experts.down_proj',
};

async function valuesOf(info: TensorInfo): Promise<Float32Array> {
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  return new Float32Array(bytes.buffer);
}

/** The GGUF file, and the tensors of the folder that it was made of. */
async function bothForms(): Promise<{ gguf: ModelDescription; tensors: Map<string, TensorInfo> }> {
  const { gguf, tensors } = await ggufAndFolderTensors('deepseek2', 'one kv head', PARTS);
  for (const [name, info] of gguf.tensors) {
    const [, layer, part] = /^blk\.(\d+)\.([a-z_]+)/.exec(name) ?? [];
    const at = `model.layers.${layer}`;
    if (part === 'exp_probs_b') tensors.set(`${at}.mlp.gate.e_score_correction_bias`, info);
    const stacked = /^ffn_(gate|up|down)_exps$/.exec(part ?? '')?.[1];
    for (let e = 0; stacked !== undefined && e < 6; e++) {
      const nOut = info.shape[1]!;
      tensors.set(`${at}.mlp.experts.${e}.${stacked}_proj.weight`, rowsOf(info, e * nOut, nOut));
    }
    if (part === 'attn_k_b') tensors.set(`${at}.self_attn.kv_b_proj.weight`, await joined(gguf, `blk.${layer}`));
  }
  return { gguf, tensors };
}

/** Each head's keys, turned back into rows, and its values behind them: [nHeads * (keyDim + valueDim), latentDim]. */
async function joined(gguf: ModelDescription, at: string): Promise<TensorInfo> {
  const k = await valuesOf(gguf.tensors.get(`${at}.attn_k_b.weight`)!);
  const v = await valuesOf(gguf.tensors.get(`${at}.attn_v_b.weight`)!);
  const rows = new Float32Array(nHeads * 2 * KEY_DIM * LATENT_DIM);
  for (let head = 0; head < nHeads; head++) {
    for (let i = 0; i < KEY_DIM; i++) {
      const row = (head * 2 * KEY_DIM + i) * LATENT_DIM;
      for (let c = 0; c < LATENT_DIM; c++) {
        rows[row + c] = k[(head * LATENT_DIM + c) * KEY_DIM + i]!;
        rows[row + KEY_DIM * LATENT_DIM + c] = v[(head * KEY_DIM + i) * LATENT_DIM + c]!;
      }
    }
  }
  const source = bufferSource('kv_b', new Uint8Array(rows.buffer));
  const shape = [nHeads * 2 * KEY_DIM, LATENT_DIM];
  return { name: 'kv_b', type: 'f32', shape, source, offset: 0, nBytes: source.size };
}

const IDS = [1, 77, 130, 299, 5, 12, 9];

test('a folder is the model of the GGUF file', async () => {
  const { gguf, tensors } = await bothForms();
  const folder = await describeFolder(V3, tensors);
  // A GGUF file has a tenth of mscale_all_dim: in float64 the two ways round differently, in f32 they give one number.
  const { attentionScale, ...config } = folder.config as DeepseekConfig;
  const { attentionScale: ofGguf, ...ggufConfig } = gguf.config as DeepseekConfig;
  expect(config).toEqual(ggufConfig);
  expect(Math.fround(attentionScale)).toBe(Math.fround(ofGguf));
  const run = async (description: ModelDescription) => {
    const built = description.buildGraph('f32');
    const nodes = built.nodes.map((n) => (n.op === 'attend_scores' ? { ...n, scale: ofGguf } : n));
    const graph = { ...built, nodes };
    return logitsInChunks(createNaiveExecutor(graph, await loadWeights(graph, description.tensors)), IDS, []);
  };
  expect(firstDifference(await run(folder), await run(gguf))).toBeUndefined();
});

/** Logits in float64 of the same model as its paper states it first: keys and values of every head, not absorbed. */
test('absorbed, attention is what it is with the keys and values of every head', async () => {
  const { gguf } = await bothForms();
  const graph = gguf.buildGraph('f32');
  const executor = createNaive64Executor(graph, await loadWeights(graph, gguf.tensors));
  const values = new Map<string, ArrayLike<number>>();
  const cache = executor.createCache(IDS.length);
  const sequence = cache.create();
  cache.reserve(sequence, IDS.length);
  const positions = Int32Array.from(IDS, (_, t) => t);
  const segments = [{ sequence, from: 0, count: IDS.length }];
  executor.run({ ids: Int32Array.from(IDS), positions, segments, outRows: positions }, cache, ({ name, data }) => {
    values.set(name, data.slice());
  });
  const [q, latent, turnedQ, row] = ['q_plain', 'attn_kv_a_norm', 'q_rope', 'kv_row'].map(
    (part) => values.get(`blk.0.${part}`)!,
  );
  const k = await valuesOf(gguf.tensors.get('blk.0.attn_k_b.weight')!);
  const scores = values.get('blk.0.scores')!;
  const { attentionScale } = gguf.config as DeepseekConfig;
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < IDS.length; t++) {
      for (let s = 0; s <= t; s++) {
        let score = 0;
        let sumAbs = 0;
        const add = (term: number): void => {
          score += term;
          sumAbs += Math.abs(term);
        };
        for (let i = 0; i < KEY_DIM; i++) {
          // Element i of head h's key at position s is a sum over the latent; its terms one by one.
          for (let c = 0; c < LATENT_DIM; c++) {
            const key = k[(h * LATENT_DIM + c) * KEY_DIM + i]! * latent![s * LATENT_DIM + c]!;
            add(q![(t * nHeads + h) * KEY_DIM + i]! * key);
          }
        }
        for (let i = 0; i < ROPE_DIM; i++) {
          add(turnedQ![(t * nHeads + h) * ROPE_DIM + i]! * row![s * (LATENT_DIM + ROPE_DIM) + LATENT_DIM + i]!);
        }
        const got = scores[(h * IDS.length + t) * IDS.length + s]!;
        // Two sums of the same terms, in two orders: each term goes through at most this many roundings in either.
        const bound = 2 * gamma64(KEY_DIM * LATENT_DIM + ROPE_DIM + 4) * sumAbs * attentionScale;
        expect(Math.abs(got - score * attentionScale)).toBeLessThanOrEqual(bound);
      }
    }
  }
});

test('V2: queries of one product, softmax, weights as they are, no shared expert', async () => {
  const { tensors } = await bothForms();
  const lite = new Map([...tensors].filter(([name]) => !/q_[ab]_|shared_experts|e_score/.test(name)));
  const q = tensors.get('model.layers.0.self_attn.q_b_proj.weight')!;
  for (const layer of [0, 1]) lite.set(`model.layers.${layer}.self_attn.q_proj.weight`, q);
  const v2 = {
    ...V3,
    model_type: 'deepseek_v2',
    q_lora_rank: null,
    n_shared_experts: null,
    topk_method: 'greedy',
    scoring_func: 'softmax',
    norm_topk_prob: false,
    routed_scaling_factor: 1,
  };
  const { buildGraph, facts } = await describeFolder(v2, lite);
  const { nodes } = buildGraph('q8');
  expect(nodes.find((n) => n.op === 'choose_experts')).not.toHaveProperty('groups');
  expect(nodes.find((n) => n.op === 'expert_weights')).toMatchObject({ isNormalized: false, scale: 1 });
  expect(nodes.some((n) => n.op === 'sigmoid')).toBe(false);
  expect(facts).toContainEqual(['experts', `2 of 6, each ${dim} wide; softmax, as they are`]);
  const grouped = await describeFolder({ ...v2, topk_method: 'group_limited_greedy' }, lite);
  expect(grouped.buildGraph('q8').nodes.find((n) => n.op === 'choose_experts')).toMatchObject({
    groups: { count: 2, chosen: 1, scoredBy: 1 },
  });
});

describe('what is refused, by name', () => {
  test.each<[object, RegExp]>([
    [{ topk_method: 'best' }, /topk_method is "best"; known are greedy, group_limited_greedy, noaux_tc/],
    [{ scoring_func: 'softmax' }, /scoring_func is "softmax"/],
    [{ moe_layer_freq: 2 }, /moe_layer_freq is 2/],
    [{ attention_bias: true }, /attention_bias is true/],
    [{ rope_interleave: false }, /rope_interleave is false/],
    [{ first_k_dense_replace: 9 }, /layers without experts is 9/],
    [
      { model_type: 'deepseek_v2', topk_method: 'greedy', scoring_func: 'softmax' },
      /norm_topk_prob with routed_scaling_factor 2\.5/,
    ],
    [{ kv_lora_rank: 21 }, /the config asks for \[160, 21\]/],
    [{ kv_lora_rank: null }, /kv_lora_rank is missing/],
  ])('config.json with %o', async (changes, message) => {
    const { tensors } = await bothForms();
    await expect(describeFolder({ ...V3, ...changes } as JsonObject, tensors)).rejects.toThrow(message);
  });

  test.each<[Record<string, MetaValue | undefined>, RegExp]>([
    [{ 'deepseek2.attention.key_length_mla': undefined }, /key_length_mla is missing: a file of an older converter/],
    [{ 'deepseek2.expert_gating_func': 7 }, /expert_gating_func is 7/],
    [{ 'deepseek2.rope.scaling.type': 'longrope' }, /rope\.scaling\.type is "longrope"/],
    [{ 'deepseek2.rope.scaling.yarn_log_multiplier': undefined }, /yarn_log_multiplier" is missing/],
    [{ 'deepseek2.leading_dense_block_count': 9 }, /layers without experts is 9/],
    [{ 'deepseek2.attention.kv_lora_rank': 0 }, /latentDim is 0/],
  ])('a GGUF file with %o', async (changes, message) => {
    const bytes = fileOfCase({ architecture: 'deepseek2', layout: 'one kv head', format: 'f32', seed: 1 });
    const file = await openGguf(bufferSource('deepseek.gguf', bytes));
    const metadata: Metadata = new Map(
      [...file.metadata, ...Object.entries(changes)].filter(
        (pair): pair is [string, MetaValue] => pair[1] !== undefined,
      ),
    );
    for (const [key, value] of Object.entries(changes))
      if (value === undefined) (metadata as Map<string, MetaValue>).delete(key);
    await expect(describeGguf({ ...file, metadata })).rejects.toThrow(message);
  });
});
