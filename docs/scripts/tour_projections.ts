import { rowBytes } from '../../src/core/dtype.ts';
import { sumSquaresRow } from '../../src/core/sum.ts';
import type { LlamaConfig } from '../../src/models/config.ts';
import { innerSum } from '../../src/ops/linear_q8.ts';
import { allocQuantizedRow, quantizeActivations } from '../../src/quant/activations.ts';
import { allocCodedBlock } from '../../src/quant/coded_block.ts';
import { codedFormat } from '../../src/quant/codes.ts';
import { f32Text, firstValues, fixed, table } from './number_text.ts';
import { namedValue } from './run_model.ts';
import { fence } from './source_quote.ts';
import { layerValue, rowOf, type Walk, weightOf } from './tour_start.ts';

const { fround } = Math;
const N_SHOWN = 6;

/** Room 7 up to the three projections. */
export function projectionRegions(walk: Walk): [string, string][] {
  return [
    ['embedding', embedding(walk)],
    ['norm', norm(walk)],
    ['dot', dot(walk)],
    ['qkv', qkv(walk)],
  ];
}

function embedding(walk: Walk): string {
  const table0 = weightOf(walk, 'token_embd.weight');
  const id = walk.ids[walk.at]!;
  const dim = table0.shape[1]!;
  const format = codedFormat(table0.dtype);
  const block = allocCodedBlock(format);
  format.read(table0.bytes, id * rowBytes(table0.dtype, dim), block);
  const value = namedValue(walk.run, 'embedding');
  return fence('text', [
    `table      ${table0.dtype} [${table0.shape.join(', ')}], row ${id}`,
    `block 0    d = ${f32Text(block.d)}, codes ${Array.from(block.codes.subarray(0, N_SHOWN)).join(' ')} ...`,
    `embedding  f32 [${value.shape.join(', ')}], row ${walk.at}`,
    `           ${firstValues(rowOf(value, walk.at), 0, N_SHOWN, dim)}`,
  ]);
}

/** The two numbers between x and its norm, computed here as ops/rms_norm.ts does. */
function norm(walk: Walk): string {
  const x = rowOf(namedValue(walk.run, 'embedding'), walk.at);
  const h = rowOf(layerValue(walk, 'attn_norm'), walk.at);
  const { normEps } = walk.opened.description.config as LlamaConfig;
  const mean = fround(sumSquaresRow(x, 0, x.length) / x.length);
  const r = fround(1 / fround(Math.sqrt(fround(mean + fround(normEps)))));
  return fence('text', [
    `mean of squares  ${f32Text(mean)}`,
    `r                ${f32Text(r)}`,
    `x                ${firstValues(x, 0, N_SHOWN, x.length)}`,
    `attn_norm        ${firstValues(h, 0, N_SHOWN, h.length)}`,
  ]);
}

/** q[0] of the followed token, block by block, as ops/linear_q8.ts defines it. Throws unless it ends at the run's own value. */
function dot(walk: Walk): string {
  const x = rowOf(layerValue(walk, 'attn_norm'), walk.at);
  const w = weightOf(walk, 'blk.0.attn_q.weight');
  const row = allocQuantizedRow(x.length);
  quantizeActivations(x, 0, x.length, row);
  const format = codedFormat(w.dtype);
  const block = allocCodedBlock(format);
  let acc = 0;
  const lines = Array.from(row.scales, (da, b) => {
    format.read(w.bytes, b * format.blockBytes, block);
    const inner = innerSum(format, block, row, b);
    acc = fround(acc + fround(fround(block.d * da) * inner));
    return [b, f32Text(block.d), f32Text(da), inner, fixed(acc)];
  });
  const computed = rowOf(layerValue(walk, 'attn_q'), walk.at)[0]!;
  if (!Object.is(acc, computed)) throw new Error(`q[0] is ${computed} in the run and ${acc} here`);
  return table(['block', 'dw', 'da', 'integer sum', 'acc'], lines);
}

function qkv(walk: Walk): string {
  const rows = ['q', 'k', 'v'].map((part) => {
    const value = layerValue(walk, part);
    return [part, `[${value.shape.join(', ')}]`, `\`${firstValues(rowOf(value, walk.at), 0, N_SHOWN, 32)}\``];
  });
  return table(['value', 'shape', `row ${walk.at}, head 0`], rows);
}
