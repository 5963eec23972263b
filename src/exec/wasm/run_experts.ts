import { DTYPES } from '../../core/dtype.ts';
import { tensor } from '../../core/tensor.ts';
import type { NodeOf, ValueId } from '../../graph/ir.ts';
import { chooseExperts } from '../../ops/choose_experts.ts';
import { type ExpertSizes, rowOfSlot, slotsByExpert } from '../../ops/expert_slots.ts';
import { expertWeights } from '../../ops/expert_weights.ts';
import type { RunFrame } from './frame.ts';
import type { Machine } from './machine.ts';
import type { PackedMatrix } from './packed_weights.ts';
import { quantizeRows, wideProduct } from './run_linear.ts';

const F32_BYTES = 4;

/**
 * The ops of routing. Choosing, and weighing a few chosen scores, is no hot loop: the definitions themselves run over WASM memory.
 * The rest are kernels.
 */
export function runRouting(
  m: Machine,
  node: NodeOf<'softmax_rows' | 'choose_experts' | 'expert_weights' | 'expert_sum'>,
  y: number,
  nRows: number,
  width: number,
  frame: RunFrame,
): void {
  const [x, other] = node.inputs.map((input) => frame.addresses[input]!) as [number, number?];
  const nIn = m.widths[node.inputs[0]!]!;
  const scores = () => tensor([nRows, nIn], frame.floats(x, nRows * nIn));
  switch (node.op) {
    case 'softmax_rows': {
      // T heads of one new token that sees all n positions: see src/ops/softmax_rows.ts.
      const [lengths, starts] = frame.putWords([width, 0]);
      m.kernels.softmaxF32(y, x, lengths!, starts!, 0, nRows, width, 1, width);
      return;
    }
    case 'choose_experts':
      frame.floats(y, nRows * width).set(chooseExperts(scores(), node.nChosen, node.groups).data);
      return;
    case 'expert_weights': {
      const experts = tensor([nRows, width], frame.floats(other!, nRows * width));
      frame.floats(y, nRows * width).set(expertWeights(scores(), experts, node.isNormalized, node.scale).data);
      return;
    }
    case 'expert_sum':
      m.kernels.expertSumF32(y, x, other!, nRows, nIn / width, width);
      return;
    default:
      node satisfies never;
  }
}

/**
 * expert_linear with the kernels of linear: the rows of each expert that somebody chose are brought together, multiplied by the
 * panels of its matrix, and put into their slots of y. So a prompt reads each matrix once. A row that is alone stays where it is.
 */
export function runExpertLinear(
  m: Machine,
  node: NodeOf<'expert_linear'>,
  y: number,
  x: number,
  nRows: number,
  frame: RunFrame,
): void {
  const [input, weight, chosen] = node.inputs as [number, number, number];
  const w = m.weights.matrix(weight);
  const nChosen = m.widths[chosen]!;
  const { nIn, nOut, nExperts } = w;
  const sizes: ExpertSizes = { nRows, nChosen, nExperts, nOut, nIn, isShared: m.widths[input] === nIn };
  const slotsOf = slotsByExpert(frame.floats(frame.addresses[chosen]!, nRows * nChosen), nExperts);
  const whole = nRows === 1 && sizes.isShared ? input : undefined;
  const rowAt = (slot: number): number => x + rowOfSlot(slot, sizes) * F32_BYTES;
  const slotAt = (slot: number): number => y + slot * nOut * F32_BYTES;
  slotsOf.forEach((slots, expert) => {
    const matrix = { ...w, address: w.address + expert * w.nBytes };
    const [first] = slots;
    if (first === undefined) return;
    if (slots.length === 1) {
      product(m, node, matrix, slotAt(first), rowAt(first), 1, whole, frame);
      return;
    }
    const { rows, products } = frame.experts(slots.length * nIn);
    const [from] = frame.putWords(slots.map((slot) => rowOfSlot(slot, sizes) / nIn));
    m.kernels.takeRowsF32(rows, x, from!, slots.length, nIn);
    product(m, node, matrix, products, rows, slots.length, undefined, frame);
    slots.forEach((slot, i) => {
      m.kernels.sliceF32(slotAt(slot), products + i * nOut * F32_BYTES, nOut, 1, nOut);
    });
  });
}

/** Dense rows by one matrix. of: the value that they are all of, whose quantized form its readers share. */
function product(
  m: Machine,
  node: NodeOf<'expert_linear'>,
  w: PackedMatrix,
  y: number,
  x: number,
  nRows: number,
  of: ValueId | undefined,
  frame: RunFrame,
): void {
  if (node.sums === 'f64') {
    wideProduct(m, w, y, w.nOut, x, w.nIn, nRows, frame);
    return;
  }
  const kernel = m.kernels.format(w.dtype);
  if (node.activations === 'f32' || kernel.q8 === undefined) {
    kernel.f32(y, w.nOut, x, w.nIn, nRows, w.nIn, w.address, w.nOut, 0, w.nPanels, frame.panel);
    return;
  }
  quantizeRows(m, of, DTYPES[w.dtype].blockSize, x, w.nIn, nRows, w.nIn, frame);
  kernel.q8(y, w.nOut, frame.quantized, nRows, w.nIn, w.address, w.nOut, 0, w.nPanels, frame.panel);
}
