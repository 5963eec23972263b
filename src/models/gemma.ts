import type { Graph } from '../graph/ir.ts';
import { plusOne } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { ggufNameOf, ggufNames, LLAMA_NAMES } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import {
  type GemmaConfig,
  type Generation,
  gemmaConfigFromGguf,
  gemmaConfigFromHf,
  textConfigOf,
} from './gemma_config.ts';
import { renamed } from './hf_tensors.ts';
import { ropeAt, ropeFact, ropeSpec, windowFact } from './rope_config.ts';

/** Four norms to a layer; the name that Gemma 1 and others give to the norm before the feed-forward is that of the one behind attention. */
const nameOf = ggufNames({
  ...LLAMA_NAMES,
  layer: [
    ...LLAMA_NAMES.layer.filter(([name]) => name !== 'post_attention_layernorm'),
    ['self_attn.q_norm', 'attn_q_norm'],
    ['self_attn.k_norm', 'attn_k_norm'],
    ['post_attention_layernorm', 'post_attention_norm'],
    ['pre_feedforward_layernorm', 'ffn_norm'],
    ['post_feedforward_layernorm', 'post_ffw_norm'],
  ],
});

export const gemma = architecture(1);
export const gemma2 = architecture(2);
export const gemma3 = architecture(3);

function architecture(generation: Generation): Architecture {
  return {
    isTiedByDefault: true,
    fromGguf: async ({ metadata }) => decoder(gemmaConfigFromGguf(metadata, generation)),
    fromHf: (config) => decoder(gemmaConfigFromHf(textConfigOf(config), generation)),
    hfTensors(tensors, config) {
      const ofText = config['model_type'] === 'gemma3' ? textTensors(tensors) : tensors;
      const named = renamed(ofText, generation === 1 ? ggufNameOf : nameOf, `gemma ${generation}`);
      // A folder has a norm's factors as their distance from 1, a GGUF file as they are.
      return new Map(
        [...named].map(([name, info]): [string, TensorInfo] => [
          name,
          name.endsWith('norm.weight') ? plusOne(info) : info,
        ]),
      );
    },
  };
}

/** Of a Gemma 3 that sees: what belongs to its eyes, and where the rest is, in newer folders and older ones. */
const OF_PICTURES = /^(model\.)?(vision_tower|multi_modal_projector)\./;
const OF_TEXT = /^(model\.language_model|language_model\.model)\./;

/** The tensors of the half that reads and writes text, named as in a model of text alone. No picture can be given to it here. */
function textTensors(tensors: Tensors): Tensors {
  return new Map(
    [...tensors]
      .filter(([name]) => !OF_PICTURES.test(name))
      .map(([name, info]) => [name.replace(OF_TEXT, 'model.').replace(/^language_model\.lm_head\./, 'lm_head.'), info]),
  );
}

function decoder(config: GemmaConfig): Decoder {
  const { isLocal, attentionCap, logitCap, generation, localRopeBase } = config;
  const nLocal = isLocal.filter((local) => local).length;
  const caps = `of scores ${attentionCap ?? 'none'}, of logits ${logitCap ?? 'none'}`;
  const localRope: Decoder['facts'] = generation === 3 ? [['local rope', `base ${localRopeBase}, scaling none`]] : [];
  return {
    config,
    facts: [ropeFact(config), ...localRope, ...windowFact(config, nLocal), ['caps', caps]],
    buildGraph: (tensors, activations, maxSeq) => buildGemma(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Gemma 1, 2 and 3: a Llama with embeddings times sqrt(dim) and GELU where that has SiLU. Gemma 2 has norms behind attention and
 * feed-forward too, layers with a window between those that see everything, and caps; Gemma 3 norms of heads instead of caps,
 * and other angles in layers with a window.
 *
 *   x -> attn_norm -> q, k, v -> (norms of heads) -> rope -> attention (window, cap) -> attn_output -> (norm) -> + x
 *     -> ffn_norm -> gelu_tanh(gate) * up -> ffn_down -> (norm) -> + x;   soft_cap(logits)
 *
 * sqrt(dim) is an f32; trained in bf16, a model has met it with 8 bits (45.25 for 45.2548 in a model of 2048), and both references take the f32.
 * Throws as buildLlama does.  Source: Gemma Team 2024, "Gemma"; "Gemma 2", 2; 2025, "Gemma 3", 2.
 */
export function buildGemma(config: GemmaConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, normEps, generation, isLocal, queryScale } = config;
  const m = createBlocks(config, tensors, activations);
  const { add, scale } = m.builder;
  const turn = m.rope(ropeSpec(config), config.ropeLayout);
  const localRope = { ...config, ropeBase: config.localRopeBase, ropeScaling: { kind: 'none' } as const };
  const turnLocal = generation === 3 ? m.rope(ropeSpec(localRope), config.ropeLayout) : turn;

  let x = scale('scaled_embedding', m.embedding(), Math.sqrt(dim)); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const norm = (part: string, value: number): number => m.rmsNorm(`${at}.${part}`, value, normEps);
    const { q, k, v } = m.queryKeyValue(at, norm('attn_norm', x));
    const [qNormed, kNormed] = generation === 3 ? [norm('attn_q_norm', q), norm('attn_k_norm', k)] : [q, k];
    const turnThis = isLocal[layer] ? turnLocal : turn;
    const turned = { q: turnThis(`${at}.q_rope`, qNormed), k: turnThis(`${at}.k_rope`, kNormed), v };
    const limits = { window: isLocal[layer] ? config.window : undefined, cap: config.attentionCap };
    const attention = m.linear(`${at}.attn_output`, m.attend(layer, turned, queryScale, limits), dim);
    const attended = add(
      `${at}.attn_residual`,
      x,
      generation === 1 ? attention : norm('post_attention_norm', attention),
    );

    const forward = m.geglu(at, norm('ffn_norm', attended));
    x = add(`${at}.ffn_residual`, attended, generation === 1 ? forward : norm('post_ffw_norm', forward));
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps), config.logitCap);
}
