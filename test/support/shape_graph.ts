import type { DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { Graph } from '../../src/graph/ir.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { RANDOM_SHAPES, type RandomShapeName } from '../../src/load/random_shape.ts';
import { buildLlama } from '../../src/models/llama.ts';
import { TINY_CONFIG } from './tiny_llama.ts';

/** The graph of a model of this shape with matrices of one format, as its architecture states it. No weight is made. */
export function shapeGraph(shape: RandomShapeName, dtype: DType): Graph {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocab, maxContext } = RANDOM_SHAPES[shape];
  const headDim = dim / nHeads;
  const config = {
    ...TINY_CONFIG,
    dim,
    hiddenDim,
    nLayers,
    nHeads,
    nKvHeads,
    vocab,
    maxContext,
    headDim,
    ropeDim: headDim,
  };
  const source = bufferSource('none', new Uint8Array(0));
  const tensors = new Map<string, TensorInfo>();
  const add = (name: string, sizes: number[], type: DType): void => {
    tensors.set(name, { name, type, shape: sizes, source, offset: 0, nBytes: 0 });
  };
  add('token_embd.weight', [vocab, dim], dtype);
  add('output_norm.weight', [dim], 'f32');
  for (let layer = 0; layer < nLayers; layer++) {
    const name = (part: string): string => `blk.${layer}.${part}.weight`;
    for (const norm of ['attn_norm', 'ffn_norm']) add(name(norm), [dim], 'f32');
    for (const part of ['attn_k', 'attn_v']) add(name(part), [nKvHeads * headDim, dim], dtype);
    for (const part of ['attn_q', 'attn_output']) add(name(part), [dim, dim], dtype);
    for (const part of ['ffn_gate', 'ffn_up']) add(name(part), [hiddenDim, dim], dtype);
    add(name('ffn_down'), [dim, hiddenDim], dtype);
  }
  return buildLlama(config, tensors, 'q8');
}
