import { DTYPES } from '../../core/dtype.ts';
import type { NodeOf, ValueId } from '../../graph/ir.ts';
import { SUPER_BLOCK_SIZE } from '../../quant/ggml_block.ts';
import type { RunFrame } from './frame.ts';
import { panelBytes, panelRows, WIDE_ROWS } from './layout.ts';
import type { Machine } from './machine.ts';
import type { PackedMatrix } from './packed_weights.ts';

const F32_BYTES = 4;

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
  if (node.sums === 'f64') {
    wideProduct(m, w, y, w.nOut, x, xStride, nRows, frame);
    return;
  }
  const kernel = m.kernels.format(w.dtype);
  if (node.activations === 'f32' || kernel.q8 === undefined) {
    kernel.f32(y, w.nOut, x, xStride, nRows, w.nIn, w.address, w.nOut, 0, w.nPanels, frame.panel);
    return;
  }
  quantizeRows(m, node.inputs[0], DTYPES[w.dtype].blockSize, x, xStride, nRows, w.nIn, frame);
  kernel.q8(y, w.nOut, frame.quantized, nRows, w.nIn, w.address, w.nOut, 0, w.nPanels, frame.panel);
}

/** Each head of dense rows by its own matrix: the kernels of linear, with strides that leave the other heads out. */
export function runHeadLinear(
  m: Machine,
  node: NodeOf<'head_linear'>,
  y: number,
  x: number,
  nRows: number,
  frame: RunFrame,
): void {
  const w = m.weights.matrix(node.inputs[1]!);
  const kernel = m.kernels.format(w.dtype);
  const { nExperts: nHeads, nOut, nIn, nPanels } = w;
  for (let head = 0; head < nHeads; head++) {
    const [to, from] = [y + head * nOut * F32_BYTES, x + head * nIn * F32_BYTES];
    const address = w.address + head * w.nBytes;
    if (node.sums === 'f64') {
      wideProduct(m, { ...w, address }, to, nHeads * nOut, from, nHeads * nIn, nRows, frame);
    } else if (node.activations === 'f32' || kernel.q8 === undefined) {
      kernel.f32(to, nHeads * nOut, from, nHeads * nIn, nRows, nIn, address, nOut, 0, nPanels, frame.panel);
    } else {
      quantizeRows(m, undefined, DTYPES[w.dtype].blockSize, from, nHeads * nIn, nRows, nIn, frame);
      kernel.q8(to, nHeads * nOut, frame.quantized, nRows, nIn, address, nOut, 0, nPanels, frame.panel);
    }
  }
}

const ROW_NUMBERS = Array.from({ length: WIDE_ROWS }, (_, row) => row);

/** Rows of x by one matrix with sums in float64. Some rows of the matrix at a time are unpacked, exactly, by the kernel that looks rows up. */
export function wideProduct(
  m: Machine,
  w: PackedMatrix,
  y: number,
  yStride: number,
  x: number,
  xStride: number,
  nRows: number,
  frame: RunFrame,
): void {
  const { embed } = m.kernels.format(w.dtype);
  const bytesOfRows = (WIDE_ROWS / panelRows(w.dtype)) * panelBytes(w.dtype, w.nIn);
  const [numbers] = frame.putWords(ROW_NUMBERS);
  for (let row = 0, address = w.address; row < w.nOut; row += WIDE_ROWS, address += bytesOfRows) {
    const n = Math.min(WIDE_ROWS, w.nOut - row);
    embed(frame.panel, numbers!, n, address, w.nIn);
    m.kernels.linearF32Wide(y + row * F32_BYTES, yStride, x, xStride, nRows, w.nIn, frame.panel, n);
  }
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
