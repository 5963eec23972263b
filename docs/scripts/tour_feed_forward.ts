import { exp } from '../../src/core/math.ts';
import { tensor } from '../../src/core/tensor.ts';
import type { LlamaConfig } from '../../src/models/config.ts';
import { linear } from '../../src/ops/linear.ts';
import { rmsNorm } from '../../src/ops/rms_norm.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { fixed, table, visible } from './number_text.ts';
import { namedValue } from './run_model.ts';
import { layerValue, rowOf, type Walk, weightOf } from './tour_start.ts';

const N_SHOWN = 4;

/** Room 7: the feed-forward half, and what each layer adds to the answer. */
export function feedForwardRegions(walk: Walk): [string, string][] {
  return [
    ['ffn', gates(walk)],
    ['layers', layers(walk)],
  ];
}

function gates(walk: Walk): string {
  const parts = ['ffn_gate', 'ffn_silu', 'ffn_up', 'ffn_gated'].map((part) => rowOf(layerValue(walk, part), walk.at));
  const rows = Array.from({ length: N_SHOWN }, (_, i) => [i, ...parts.map((row) => fixed(row[i]!))]);
  return table(['hidden', 'gate', 'silu(gate)', 'up', 'silu(gate) x up'], rows);
}

/**
 * The likeliest token if the model ended here: the last norm and the output matrix applied to the residual after each layer.
 * Throws unless the last layer gives the run's own logits.
 */
function layers(walk: Walk): string {
  const { nLayers, normEps } = walk.opened.description.config as LlamaConfig;
  const head = weightOf(walk, 'token_embd.weight');
  const gain = weightOf(walk, 'output_norm.weight');
  const g = new Float32Array(gain.shape[0]!);
  FORMATS[gain.dtype].unpack(gain.bytes, 0, g, 0, g.length);
  const names = ['embedding', ...Array.from({ length: nLayers }, (_, layer) => `blk.${layer}.ffn_residual`)];
  let logits = new Float32Array(0);
  const rows = names.map((name) => {
    const x = rowOf(namedValue(walk.run, name), walk.at);
    const normed = rmsNorm(tensor([1, x.length], x), tensor([g.length], g), normEps);
    logits = linear(normed, head, 'q8').data as Float32Array<ArrayBuffer>;
    const best = logits.reduce((most, l, id) => (l > logits[most]! ? id : most), 0);
    const sum = logits.reduce((total, l) => total + exp(l - logits[best]!), 0);
    return [`\`${name}\``, fixed(length(x)), best, visible(walk.opened.tokenizer.piece(best)), fixed(1 / sum)];
  });
  const { vocab, data } = walk.run.recording.logits;
  if (!logits.every((l, id) => Object.is(l, data[walk.at * vocab + id])))
    throw new Error('the last row is not the logits');
  return table(['after', 'length of the row', 'id', 'likeliest piece', 'probability'], rows);
}

/** Euclidean length, for show. */
function length(x: Float32Array): number {
  return Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
}
