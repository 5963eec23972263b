import { getCount } from '../core/metadata.ts';
import { createBuilder } from '../graph/build.ts';
import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import type { LlamaConfig } from './config.ts';
import { llamaConfigFromGguf } from './llama_gguf.ts';
import { llamaConfigFromHf } from './llama_hf.ts';
import { ropeAt, ropeFact, ropeSpec, windowFact } from './rope_config.ts';
import { readFactors } from './small_tensors.ts';
import { createWeightTable } from './weight_table.ts';

export { ropeSpec };

export const llama: Architecture = {
  async fromGguf(file) {
    const factors = await readFactors(file, 'rope_freqs.weight');
    // GGUF has one name for both: Mixtral is a Llama whose feed-forwards are experts.
    const isMixtral = (getCount(file.metadata, 'llama.expert_count') ?? 0) > 0;
    if (isMixtral) return (await import('./mixtral.ts')).mixtralFromGguf(file.metadata, factors);
    return decoder(llamaConfigFromGguf(file.metadata, factors));
  },
  fromHf: (config) => decoder(llamaConfigFromHf(config)),
};

function decoder(config: LlamaConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), ...windowFact(config, config.nLayers)],
    buildGraph: (tensors, activations, maxSeq) => buildLlama(ropeAt(config, maxSeq), tensors, activations),
  };
}

/** Tensors of a Llama file that no op reads: the rope's frequency factors are in the config by now. */
const FOLDED_TENSORS = ['rope_freqs.weight'];

/**
 * A Llama decoder, written out op by op (its relatives are put together from models/blocks.ts): embedding; nLayers x (norm, attention, residual, norm, SwiGLU, residual); norm, output projection.
 *
 *   x [T, dim] -> attn_norm -> q [T, nHeads, headDim], k, v [T, nKvHeads, headDim] -> rope(q), rope(k)
 *     -> cache -> scores [nHeads, T, S] -> probs -> mix [T, nHeads, headDim] -> attn_output -> + x
 *     -> ffn_norm -> silu(gate) * up [T, hiddenDim] -> ffn_down -> + x
 *
 * tensors: by GGUF name. Where there is no output.weight (or no token_embd.weight), the other one serves both ends.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Touvron et al. 2023, "LLaMA", section 2.2.
 */
export function buildLlama(config: LlamaConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, hiddenDim, headDim, nHeads, nKvHeads, vocab, window } = config;
  const b = createBuilder();
  const table = createWeightTable(b, tensors, FOLDED_TENSORS);
  const ids = b.input('ids');
  const positions = b.input('positions');
  const outRows = b.input('outRows');
  const rope = b.ropeTable(ropeSpec(config));
  const scale = 1 / Math.sqrt(headDim);

  const embeddingName = table.has('token_embd.weight') ? 'token_embd.weight' : 'output.weight';
  const headName = table.has('output.weight') ? 'output.weight' : 'token_embd.weight';
  let x = b.embed('embedding', ids, table.weight(embeddingName, [vocab, dim])); // x: [T, dim]

  for (let layer = 0; layer < config.nLayers; layer++) {
    const name = (part: string): string => `blk.${layer}.${part}`;
    const weight = (part: string, shape: number[]) => table.weight(name(`${part}.weight`), shape);
    const project = (part: string, from: number, out: number) =>
      b.linear(name(part), from, weight(part, [out, b.widthOf(from)]), activations);

    const h = b.rmsNorm(name('attn_norm'), x, weight('attn_norm', [dim]), config.normEps);
    const q = b.reshape(name('q'), project('attn_q', h, nHeads * headDim), ['T', nHeads, headDim]);
    const k = b.reshape(name('k'), project('attn_k', h, nKvHeads * headDim), ['T', nKvHeads, headDim]);
    const v = b.reshape(name('v'), project('attn_v', h, nKvHeads * headDim), ['T', nKvHeads, headDim]);
    const turnedQ = b.rope(name('q_rope'), q, positions, config.ropeLayout, rope);
    const turnedK = b.rope(name('k_rope'), k, positions, config.ropeLayout, rope);
    const keys = b.kvWriteK(name('keys'), turnedK, layer); // keys: [S, nKvHeads, headDim]
    const values = b.kvWriteV(name('values'), v, layer);
    const scores = b.attendScores(name('scores'), turnedQ, keys, positions, scale, { window }); // scores: [nHeads, T, S]
    const probs = b.softmax(name('probs'), scores, positions, { window });
    const mix = b.attendMix(name('mix'), probs, values, positions, { window }); // mix: [T, nHeads, headDim]
    const heads = b.reshape(name('heads'), mix, ['T', nHeads * headDim]);
    const attended = b.add(name('attn_residual'), x, project('attn_output', heads, dim));

    const f = b.rmsNorm(name('ffn_norm'), attended, weight('ffn_norm', [dim]), config.normEps);
    const gate = b.silu(name('ffn_silu'), project('ffn_gate', f, hiddenDim)); // gate: [T, hiddenDim]
    const gated = b.mul(name('ffn_gated'), gate, project('ffn_up', f, hiddenDim));
    x = b.add(name('ffn_residual'), attended, project('ffn_down', gated, dim));
  }

  const normed = b.rmsNorm('output_norm', x, table.weight('output_norm.weight', [dim]), config.normEps);
  const all = b.linear('output', normed, table.weight(headName, [vocab, dim]), activations); // all: [T, vocab]
  const logits = b.takeRows('logits', all, outRows); // logits: [R, vocab]
  table.checkAllUsed();
  return b.finish(logits, { nLayers: config.nLayers, nKvHeads, headDim });
}
