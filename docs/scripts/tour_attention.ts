import type { RecordedValue } from '../../src/exec/record.ts';
import type { LlamaConfig } from '../../src/models/config.ts';
import { ropeSpec } from '../../src/models/llama.ts';
import { ropeTable } from '../../src/ops/rope_table.ts';
import { firstValues, fixed, table } from './number_text.ts';
import { fence } from './source_quote.ts';
import { layerValue, rowOf, type Walk } from './tour_start.ts';

const HEAD = 0;
const N_SHOWN = 6;

/** Room 7: rope, scores, softmax, mix, output projection, residual. */
export function attentionRegions(walk: Walk): [string, string][] {
  return [
    ['rope', turns(walk)],
    ['scores', triangle(walk, layerValue(walk, 'scores'))],
    ['probs', triangle(walk, layerValue(walk, 'probs'))],
    ['mix', mix(walk)],
  ];
}

/** Some pairs of q's head 0: the first turns fastest, the last hardly at all. */
function turns(walk: Walk): string {
  const spec = ropeSpec(walk.opened.description.config as LlamaConfig);
  const { cos, sin, halfDim } = ropeTable(spec, walk.at + 1);
  const before = rowOf(layerValue(walk, 'q'), walk.at);
  const after = rowOf(layerValue(walk, 'q_rope'), walk.at);
  const rows = [0, 1, 4, halfDim - 1].map((i) => [
    `(${2 * i}, ${2 * i + 1})`,
    spec.frequencies[i]!.toPrecision(4),
    fixed(walk.at * spec.frequencies[i]!),
    fixed(cos[walk.at * halfDim + i]!),
    fixed(sin[walk.at * halfDim + i]!),
    `${fixed(before[2 * i]!)}, ${fixed(before[2 * i + 1]!)}`,
    `${fixed(after[2 * i]!)}, ${fixed(after[2 * i + 1]!)}`,
  ]);
  return table(['pair', 'frequency', 'angle', 'cos', 'sin', 'before', 'after'], rows);
}

/** One head of [nHeads, T, S]; what a row may not see is a dot. */
function triangle(walk: Walk, value: RecordedValue): string {
  const n = walk.ids.length;
  const pieces = walk.ids.map((id) => walk.opened.tokenizer.piece(id));
  const width = Math.max(...pieces.map((p) => p.length));
  const lines = pieces.map((piece, t) => {
    const cells = pieces.map((_, s) => (s <= t ? fixed(value.data[(HEAD * n + t) * n + s]!) : '.').padStart(9));
    return `${t} ${piece.trim().padEnd(width)}${cells.join('')}`;
  });
  return fence('text', lines);
}

function mix(walk: Walk): string {
  const { headDim, nHeads, nKvHeads } = walk.opened.description.config;
  const n = walk.ids.length;
  const probs = layerValue(walk, 'probs').data;
  const values = layerValue(walk, 'v');
  const kvHead = Math.floor(HEAD / (nHeads / nKvHeads));
  const terms = walk.ids.map((_, s) => {
    const p = probs[(HEAD * n + walk.at) * n + s]!;
    return `${fixed(p).trim()} x ${fixed(rowOf(values, s)[kvHead * headDim]!).trim()}`;
  });
  const show = (name: string) => firstValues(rowOf(layerValue(walk, name), walk.at), 0, N_SHOWN, headDim);
  return fence('text', [
    `mix[0]         = ${terms.join(' + ')}`,
    `mix, head 0      ${show('mix')}`,
    `attn_output      ${show('attn_output')}`,
    `attn_residual    ${show('attn_residual')}`,
  ]);
}
