import { ConfigError } from '../core/errors.ts';
import type { Graph } from '../graph/ir.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import type { LlamaConfig } from './config.ts';
import { optionalNumber, refuse } from './hf_config.ts';
import { plainConfigFromGguf } from './llama_gguf.ts';
import { plainConfigFromHf, refuseWindows } from './llama_hf.ts';
import { ropeAt, ropeFact, ropeSpec } from './rope_config.ts';

export interface SmolLm3Config extends LlamaConfig {
  /** For each layer, whether its heads are turned. */
  readonly ropeLayers: readonly boolean[];
}

/** Every fourth layer knows no positions. GGUF files have no key for it; transformers' SmolLM3Config has it as its default. */
const NO_ROPE_STEP = 4;

/** Of transformers' SmolLM3Config. */
const DEFAULT_ROPE_BASE = 2e6;

export const smollm3: Architecture = {
  isTiedByDefault: true,
  async fromGguf({ metadata }) {
    const config = plainConfigFromGguf(metadata, 'smollm3', 'pairs');
    return decoder({ ...config, ropeLayers: allButEvery(NO_ROPE_STEP, config.nLayers) });
  },
  fromHf(config) {
    refuseWindows(config);
    refuse(config, 'attention_bias', [false], 'SmolLM 3');
    refuse(config, 'mlp_bias', [false], 'SmolLM 3');
    const common = plainConfigFromHf(config, 'SmolLM 3', { ropeBase: DEFAULT_ROPE_BASE });
    return decoder({ ...common, ropeLayers: ropeLayersOf(config, common.nLayers) });
  },
};

function allButEvery(step: number, nLayers: number): boolean[] {
  return Array.from({ length: nLayers }, (_, layer) => (layer + 1) % step !== 0);
}

/** no_rope_layers is a list of 1 (turned) and 0, in spite of its name. */
function ropeLayersOf(config: JsonObject, nLayers: number): boolean[] {
  const list = config['no_rope_layers'];
  if (list === undefined || list === null) {
    const step = optionalNumber(config, 'no_rope_layer_interval') ?? NO_ROPE_STEP;
    if (Number.isInteger(step) && step >= 1) return allButEvery(step, nLayers);
    throw new ConfigError(`config.json: no_rope_layer_interval is ${step}, expected a positive integer`);
  }
  if (Array.isArray(list) && list.length === nLayers && list.every((use) => use === 0 || use === 1)) {
    return list.map((use) => use === 1);
  }
  throw new ConfigError(
    `config.json: no_rope_layers is ${JSON.stringify(list)}, expected 0 or 1 for each of ${nLayers} layers`,
  );
}

function decoder(config: SmolLm3Config): Decoder {
  const nTurned = config.ropeLayers.filter((turned) => turned).length;
  return {
    config,
    facts: [ropeFact(config), ['', `in ${nTurned} of ${config.nLayers} layers`]],
    buildGraph: (tensors, activations, maxSeq) => buildSmolLm3(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * SmolLM 3: a Llama in which some layers do not turn their heads, so that they see what was said and not where.
 *
 * Throws as buildLlama does.  Source: Yang et al. 2025, "Rope to Nope and Back Again", 3.
 */
export function buildSmolLm3(config: SmolLm3Config, tensors: Tensors, activations: Activations): Graph {
  const { dim, headDim, normEps } = config;
  const m = createBlocks(config, tensors, activations);
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const h = m.rmsNorm(`${at}.attn_norm`, x, normEps);
    const { q, k, v } = m.queryKeyValue(at, h);
    const turned = config.ropeLayers[layer]
      ? { q: turn(`${at}.q_rope`, q), k: turn(`${at}.k_rope`, k), v }
      : { q, k, v };
    const mix = m.attend(layer, turned, 1 / Math.sqrt(headDim)); // mix: [T, nHeads * headDim]
    const attended = m.builder.add(`${at}.attn_residual`, x, m.linear(`${at}.attn_output`, mix, dim));

    const f = m.rmsNorm(`${at}.ffn_norm`, attended, normEps);
    x = m.builder.add(`${at}.ffn_residual`, attended, m.swiglu(at, f));
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}
