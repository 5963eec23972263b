import type { Graph } from '../graph/ir.ts';
import { ggufNames, LLAMA_NAMES } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import type { LlamaConfig } from './config.ts';
import { renamed } from './hf_tensors.ts';
import { PHI3_FACTORS, phi3ConfigFromGguf, phi3ConfigFromHf } from './phi3_config.ts';
import { ropeAt, ropeFact, ropeSpec, windowFact } from './rope_config.ts';

/** What is one matrix here and several in other families. */
const APART = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'mlp.gate_proj', 'mlp.up_proj'];

const nameOf = ggufNames({
  ...LLAMA_NAMES,
  layer: [
    ...LLAMA_NAMES.layer.filter(([name]) => !APART.includes(name)),
    ['self_attn.qkv_proj', 'attn_qkv'],
    ['mlp.gate_up_proj', 'ffn_up'],
  ],
});

export const phi3: Architecture = {
  fromGguf: async (file) => decoder(await phi3ConfigFromGguf(file)),
  fromHf: (config) => decoder(phi3ConfigFromHf(config)),
  hfTensors: (tensors) => renamed(tensors, nameOf, 'phi3'),
};

function decoder(config: LlamaConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), ...windowFact(config, config.nLayers)],
    buildGraph: (tensors, activations, maxSeq) => buildPhi3(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Phi-3: a Llama whose q, k and v are columns of one product, and whose gate and up are the halves of another.
 *
 *   attn_norm(x) -> attn_qkv [T, (nHeads + 2 nKvHeads) * headDim] -> q | k | v -> rope -> attention -> attn_output -> + x
 *     -> ffn_norm -> ffn_up [T, 2 * hiddenDim] -> gate | up -> silu(gate) * up -> ffn_down -> + x
 *
 * Some have a window, in all layers: a row sees so many positions, as transformers has it; llama.cpp leaves it out.
 * Throws as buildLlama does.  Source: Abdin et al. 2024, "Phi-3 Technical Report", 2.
 */
export function buildPhi3(config: LlamaConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, hiddenDim, headDim, nHeads, nKvHeads, normEps } = config;
  const m = createBlocks(config, tensors, activations, PHI3_FACTORS);
  const b = m.builder;
  const turn = m.rope(ropeSpec(config), config.ropeLayout);
  const [qDim, kvDim] = [nHeads * headDim, nKvHeads * headDim];

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const h = m.rmsNorm(`${at}.attn_norm`, x, normEps);
    const qkv = m.linear(`${at}.attn_qkv`, h, qDim + 2 * kvDim);
    const q = m.heads(`${at}.q`, b.slice(`${at}.attn_q`, qkv, 0, qDim), nHeads);
    const k = m.heads(`${at}.k`, b.slice(`${at}.attn_k`, qkv, qDim, kvDim), nKvHeads);
    const v = m.heads(`${at}.v`, b.slice(`${at}.attn_v`, qkv, qDim + kvDim, kvDim), nKvHeads);
    const turned = { q: turn(`${at}.q_rope`, q), k: turn(`${at}.k_rope`, k), v };
    const mix = m.attend(layer, turned, 1 / Math.sqrt(headDim), { window: config.window }); // mix: [T, nHeads * headDim]
    const attended = b.add(`${at}.attn_residual`, x, m.linear(`${at}.attn_output`, mix, dim));

    const f = m.rmsNorm(`${at}.ffn_norm`, attended, normEps);
    const both = m.linear(`${at}.ffn_up`, f, 2 * hiddenDim);
    const gate = b.silu(`${at}.ffn_silu`, b.slice(`${at}.ffn_gate`, both, 0, hiddenDim));
    const gated = b.mul(`${at}.ffn_gated`, gate, b.slice(`${at}.ffn_upper`, both, hiddenDim, hiddenDim));
    x = b.add(`${at}.ffn_residual`, attended, m.linear(`${at}.ffn_down`, gated, dim));
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}
