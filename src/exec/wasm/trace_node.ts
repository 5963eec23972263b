import { resolveShape } from '../../core/shape.ts';
import type { Graph, ValueId } from '../../graph/ir.ts';
import { seenBy } from '../../ops/visible.ts';
import { limitsOf, type Trace, visibleTo } from '../executor.ts';
import { hasBuffer } from '../plan.ts';
import { segmentName } from '../values.ts';
import { type Place, rowWidth } from '../views.ts';
import type { Arena } from './arena.ts';
import type { RunFrame } from './frame.ts';

/**
 * Reports one value as the naive executor would: same name, same shape, dense. Views are taken out of their rows, score rows out
 * of their strides, and cells that a row does not see are 0, as the definition has them.
 */
export function traceNode(
  graph: Graph,
  places: readonly Place[],
  id: ValueId,
  frame: RunFrame,
  arena: Arena,
  trace: Trace,
): void {
  const node = graph.nodes[id]!;
  if (!hasBuffer(node.op)) return;
  const { batch } = frame;
  const address = frame.addresses[id]!;
  if (!node.shape.includes('S')) {
    const shape = resolveShape(node.shape, { T: batch.ids.length, R: batch.outRows.length, S: 0 });
    const width = rowWidth(node.shape);
    const { rowStride } = places[id]!;
    const nRows = shape[0]!;
    let data = arena.f32(address, nRows * width);
    if (rowStride !== width) {
      data = new Float32Array(nRows * width);
      for (let t = 0; t < nRows; t++) {
        data.set(arena.f32(address + t * rowStride * Float32Array.BYTES_PER_ELEMENT, width), t * width);
      }
    }
    trace({ name: node.name, op: node.op, shape, data });
    return;
  }
  const nHeads = node.shape[0] as number;
  frame.segments.forEach((segment, i) => {
    const { sequence, count, stride, offset } = segment;
    const nPositions = frame.cache.length(sequence) - frame.cache.dropped(sequence);
    const visible = visibleTo(batch, segment, frame.cache, limitsOf(node));
    const cells = arena.f32(address + offset * nHeads * Float32Array.BYTES_PER_ELEMENT, nHeads * count * stride);
    const data = new Float32Array(nHeads * count * nPositions);
    for (let row = 0; row < nHeads * count; row++) {
      for (const [first, until] of seenBy(visible, row % count)) {
        data.set(cells.subarray(row * stride + first, row * stride + until), row * nPositions + first);
      }
    }
    trace({ name: segmentName(node.name, i, batch), op: node.op, shape: [nHeads, count, nPositions], data });
  });
}
