import type { NodeOf, ValueId } from '../../graph/ir.ts';
import type { RunFrame } from './frame.ts';
import type { Machine } from './machine.ts';

/**
 * A norm, of rows that lie dense. Where the graph says so (`codes`), its rows are rounded with it, and frame.quantized holds them for the
 * products that read them.
 */
export function runNorm(
  m: Machine,
  node: NodeOf<'rms_norm' | 'layer_norm' | 'residual_norm'>,
  id: ValueId,
  x: number,
  nRows: number,
  frame: RunFrame,
): void {
  if (node.op === 'residual_norm') {
    residualNorm(m, node, id, x, nRows, frame);
    return;
  }
  const { kernels, weights } = m;
  const y = frame.addresses[id]!;
  const { eps, codes, inputs } = node;
  const g = weights.vector(inputs[1]!);
  const dim = node.shape.at(-1) as number; // of a row, or of each of its heads
  const n = nRows * (m.widths[id]! / dim);
  if (node.op === 'rms_norm') {
    if (codes === undefined) kernels.rmsNormF32(y, x, g, n, dim, eps);
    else kernels.rmsNormQ8(y, frame.quantized, x, g, n, dim, eps, codes);
  } else {
    const b = weights.vector(inputs[2]!);
    if (codes === undefined) kernels.layerNormF32(y, x, g, b, n, dim, eps);
    else kernels.layerNormQ8(y, frame.quantized, x, g, b, n, dim, eps, codes);
  }
  if (codes !== undefined) holdCodes(frame, id, codes);
}

/** Both halves, each where it lies. Of a half that nothing reads there is none: a sum is then lost under its norm. */
function residualNorm(
  m: Machine,
  { inputs, shape, eps, codes }: NodeOf<'residual_norm'>,
  id: ValueId,
  a: number,
  nRows: number,
  frame: RunFrame,
): void {
  const { sum, norm } = m.halves.get(id)!;
  const dim = (shape[1] as number) / 2;
  const b = frame.addresses[inputs[1]!]!;
  if (norm === undefined) {
    if (sum !== undefined) m.kernels.addF32(frame.addresses[sum]!, a, b, nRows * dim);
    return;
  }
  const y = frame.addresses[norm]!;
  const to = sum === undefined ? y : frame.addresses[sum]!;
  const g = m.weights.vector(inputs[2]!);
  if (codes === undefined) {
    m.kernels.residualNormF32(to, y, a, b, g, nRows, dim, eps);
  } else {
    m.kernels.residualNormQ8(to, y, frame.quantized, a, b, g, nRows, dim, eps, codes);
    holdCodes(frame, norm, codes);
  }
}

/** See quantizeRows (run_linear.ts): the products that read `of` next find its codes there. */
function holdCodes(frame: RunFrame, of: ValueId, blockSize: number): void {
  frame.quantizedOf = of;
  frame.quantizedBlock = blockSize;
}
