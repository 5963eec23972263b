import type { RandomModelShape } from '../random_shape.ts';
import { expertFeedForward, expertMetadata } from './experts.ts';
import {
  bias,
  decoderMetadata,
  gatedFeedForward,
  type MetaPair,
  matrix,
  norm,
  type RandomArchitecture,
  type RandomTensor,
} from './parts.ts';

/** Sizes that no other one is, so that none can stand in for another. */
const LATENT_DIM = 20;
const ROPE_DIM = 8;
const SCALE = 2.5;
/** YaRN from this context on, by a factor of 4, and a tenth of mscale_all_dim. */
const FIRST_CONTEXT = 32;
const LOG_MULTIPLIER = 0.0625;

/** V3: queries through a latent of their own, sigmoids with a bias, one layer without experts, yarn. */
export const randomDeepseek2: RandomArchitecture = {
  metadata(shape) {
    const [keyDim, valueDim] = [keyDimOf(shape), keyDimOf(shape)];
    const common = decoderMetadata('deepseek2', shape, ROPE_DIM);
    const own: MetaPair[] = [
      ['attention.q_lora_rank', 'u32', shape.dim],
      ['attention.kv_lora_rank', 'u32', LATENT_DIM],
      ['attention.key_length', 'u32', LATENT_DIM + ROPE_DIM],
      ['attention.value_length', 'u32', LATENT_DIM],
      ['attention.key_length_mla', 'u32', keyDim + ROPE_DIM],
      ['attention.value_length_mla', 'u32', valueDim],
      ['leading_dense_block_count', 'u32', 1],
      ['expert_feed_forward_length', 'u32', shape.dim],
      ['expert_shared_count', 'u32', 2],
      ['expert_weights_scale', 'f32', SCALE],
      ['expert_weights_norm', 'bool', true],
      ['expert_gating_func', 'u32', 2],
      ['expert_group_count', 'u32', 2],
      ['expert_group_used_count', 'u32', 1],
      ['rope.scaling.type', 'string', 'yarn'],
      ['rope.scaling.factor', 'f32', 4],
      ['rope.scaling.original_context_length', 'u32', FIRST_CONTEXT],
      ['rope.scaling.yarn_log_multiplier', 'f32', Math.fround(LOG_MULTIPLIER)],
    ];
    return [
      // All heads share the row of the cache.
      ...common.map((pair): MetaPair => (pair[0].endsWith('head_count_kv') ? [pair[0], pair[1], 1] : pair)),
      ...expertMetadata('deepseek2'),
      ...own.map(([name, type, value]): MetaPair => [`deepseek2.${name}`, type, value]),
    ];
  },
  tensors(shape) {
    const { nLayers, dim, vocab, tied } = shape;
    const layers = Array.from({ length: nLayers }, (_, layer) => {
      const at = `blk.${layer}`;
      return [...attention(at, shape), ...(layer === 0 ? gatedFeedForward(at, shape) : experts(at, shape))];
    });
    const head = tied ? [] : [matrix('output', vocab, dim)];
    return [matrix('token_embd', vocab, dim), ...layers.flat(), norm('output_norm', dim), ...head];
  },
};

function keyDimOf({ dim, nHeads }: RandomModelShape): number {
  return dim / nHeads;
}

function attention(at: string, shape: RandomModelShape): RandomTensor[] {
  const { dim, nHeads } = shape;
  const keyDim = keyDimOf(shape);
  return [
    norm(`${at}.attn_norm`, dim),
    matrix(`${at}.attn_q_a`, dim, dim),
    norm(`${at}.attn_q_a_norm`, dim),
    matrix(`${at}.attn_q_b`, nHeads * (keyDim + ROPE_DIM), dim),
    matrix(`${at}.attn_kv_a_mqa`, LATENT_DIM + ROPE_DIM, dim),
    norm(`${at}.attn_kv_a_norm`, LATENT_DIM),
    { name: `${at}.attn_k_b.weight`, role: 'f32 matrix', shape: [nHeads, LATENT_DIM, keyDim] },
    { name: `${at}.attn_v_b.weight`, role: 'f32 matrix', shape: [nHeads, keyDim, LATENT_DIM] },
    matrix(`${at}.attn_output`, dim, dim),
    norm(`${at}.ffn_norm`, dim),
  ];
}

function experts(at: string, shape: RandomModelShape): RandomTensor[] {
  const { dim } = shape;
  const own = expertFeedForward(at, shape, dim);
  return [
    ...own,
    bias(`${at}.exp_probs_b`, own[0]!.shape[0]!),
    matrix(`${at}.ffn_gate_shexp`, 2 * dim, dim),
    matrix(`${at}.ffn_up_shexp`, 2 * dim, dim),
    matrix(`${at}.ffn_down_shexp`, dim, 2 * dim),
  ];
}
