import type { ValueId } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { createBlocks } from './blocks.ts';
import type { ExpertsConfig } from './experts_config.ts';

/**
 * A feed-forward of experts, each a SwiGLU of its own:
 *
 *   f [T, dim] -> ffn_gate_inp [T, nExperts] -> scores -> the best of each row, and their weights [T, nChosen]
 *   f -> silu(gate) * up [T, nChosen * hiddenDim] -> down [T, nChosen * dim] -> weighted sum [T, dim]
 *
 * The matrices of all experts are one tensor, [nExperts, out, in]. To scores that are sigmoids a bias is added before the choice, and
 * not to those that weigh.
 * Source: Jiang et al. 2024, "Mixtral of Experts", 2.1; the bias: DeepSeek-AI 2024, "DeepSeek-V3", 2.1.2.
 */
export function expertFeedForward(
  { builder: b, table, linear }: ReturnType<typeof createBlocks>,
  at: string,
  f: ValueId,
  { nExperts, nChosen, hiddenDim, scoring, isNormalized, scale, groups }: ExpertsConfig,
  activations: Activations,
): ValueId {
  const dim = b.widthOf(f);
  const logits = linear(`${at}.ffn_gate_inp`, f, nExperts);
  const scores =
    scoring === 'softmax'
      ? b.softmaxRows(`${at}.scores_of_experts`, logits)
      : b.sigmoid(`${at}.scores_of_experts`, logits);
  const ranks =
    scoring === 'sigmoid'
      ? b.addBias(`${at}.ranks`, scores, table.weight(`${at}.exp_probs_b.bias`, [nExperts]))
      : scores;
  const experts = b.chooseExperts(`${at}.experts`, ranks, nChosen, groups);
  const weights = b.expertWeights(`${at}.expert_weights`, scores, experts, isNormalized, scale);
  const product = (part: string, x: ValueId, nOut: number, nIn: number): ValueId =>
    b.expertLinear(
      `${at}.${part}`,
      x,
      table.weight(`${at}.${part}.weight`, [nExperts, nOut, nIn]),
      experts,
      activations,
    );

  const gate = b.silu(`${at}.ffn_silu_exps`, product('ffn_gate_exps', f, hiddenDim, dim));
  const gated = b.mul(`${at}.ffn_gated_exps`, gate, product('ffn_up_exps', f, hiddenDim, dim));
  return b.expertSum(`${at}.ffn_experts`, product('ffn_down_exps', gated, dim, hiddenDim), weights);
}

/** A SwiGLU that all rows use beside their own: f [T, dim] -> [T, dim]. hiddenDim: its width. */
export function sharedExpert(
  { builder: b, linear }: ReturnType<typeof createBlocks>,
  at: string,
  f: ValueId,
  hiddenDim: number,
): ValueId {
  const gate = b.silu(`${at}.ffn_silu_shexp`, linear(`${at}.ffn_gate_shexp`, f, hiddenDim));
  const gated = b.mul(`${at}.ffn_gated_shexp`, gate, linear(`${at}.ffn_up_shexp`, f, hiddenDim));
  return linear(`${at}.ffn_down_shexp`, gated, b.widthOf(f));
}
