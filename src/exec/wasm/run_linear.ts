import { DTYPES } from '../../core/dtype.ts';
import type { NodeOf, ValueId } from '../../graph/ir.ts';
import { SUPER_BLOCK_SIZE } from '../../quant/ggml_block.ts';
import type { RunFrame } from './frame.ts';
import type { Machine } from './machine.ts';

/** One matrix product, in the kernel of its format. */
export function runLinear(
  m: Machine,
  node: NodeOf<'linear'>,
  y: number,
  x: number,
  xStride: number,
  nRows: number,
  frame: RunFrame,
): void {
  const w = m.weights.matrix(node.inputs[1]!);
  const kernel = m.kernels.format(w.dtype);
  if (node.activations === 'f32' || kernel.q8 === undefined) {
    kernel.f32(y, w.nOut, x, xStride, nRows, w.nIn, w.address, w.nOut, 0, w.nPanels, frame.panel);
    return;
  }
  quantizeRows(m, node.inputs[0], DTYPES[w.dtype].blockSize, x, xStride, nRows, w.nIn, frame);
  kernel.q8(y, w.nOut, frame.quantized, nRows, w.nIn, w.address, w.nOut, 0, w.nPanels, frame.panel);
}

/**
 * Fills frame.quantized with rows of x. Those of a whole value (`of`) are quantized once for all products that read it one after
 * the other, as gate and up; undefined: these are some rows only.
 */
export function quantizeRows(
  m: Machine,
  of: ValueId | undefined,
  blockSize: number,
  x: number,
  xStride: number,
  nRows: number,
  nIn: number,
  frame: RunFrame,
): void {
  if (of !== undefined && frame.quantizedOf === of && frame.quantizedBlock === blockSize) return;
  const { quantizeRowsQ8, quantizeRowsQ8Super } = m.kernels;
  const quantize = blockSize === SUPER_BLOCK_SIZE ? quantizeRowsQ8Super : quantizeRowsQ8;
  quantize(frame.quantized, x, xStride, nRows, nIn);
  frame.quantizedOf = of;
  frame.quantizedBlock = blockSize;
}
