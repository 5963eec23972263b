import { assert } from '../../core/errors.ts';
import type { CacheWrite, NodeOf, ValueId } from '../../graph/ir.ts';
import type { KvRun } from '../../kvcache/cache.ts';
import { LANE_POSITIONS } from '../../kvcache/layout.ts';
import { PAGE_POSITIONS } from '../../kvcache/row_pages.ts';
import { rowsFrom, someSee, type Visible } from '../../ops/visible.ts';
import type { FrameSegment, RowsSeen, RunFrame } from './frame.ts';
import { ATTEND_TOKENS } from './layout.ts';
import type { Machine } from './machine.ts';
import { runExpertLinear, runRouting } from './run_experts.ts';
import { runHeadLinear, runLinear } from './run_linear.ts';
import { runNorm } from './run_norm.ts';
import { writeRows, writeTurned } from './write_rows.ts';

const F32_BYTES = 4;
/** Kernels of attention take this where scores are not capped. */
const NO_CAP = 0;

/** The kernels that take a gate and what it is multiplied with. */
const GATED = {
  swiglu: 'swigluF32',
  swiglu_fast: 'swigluFastF32',
  geglu: 'gegluF32',
  geglu_tanh: 'gegluTanhF32',
} as const;

/** Computes one node: one kernel call, or one for each sequence (and stretch of its cache) where attention is concerned. */
export function runNode(m: Machine, id: ValueId, frame: RunFrame): void {
  const { graph, kernels, weights } = m;
  const node = graph.nodes[id]!;
  const width = m.widths[id]!;
  const y = frame.addresses[id]!;
  const { id: input, rowStride: xStride, isOfOutRows } = m.firstInputs[id]!;
  const x = frame.addresses[input]!;
  const nRows = isOfOutRows ? frame.batch.outRows.length : frame.batch.ids.length;
  switch (node.op) {
    case 'input':
    case 'weight':
    case 'concat_weights':
    case 'reshape':
      return;
    case 'patches':
      frame.putPatches(y, width);
      return;
    case 'embed': {
      const w = weights.matrix(node.inputs[1]!);
      const { feed } = graph.nodes[node.inputs[0]!] as NodeOf<'input'>;
      kernels
        .format(w.dtype)
        .embed(
          y,
          feed === 'ids' ? frame.ids : feed === 'types' ? frame.types : frame.positions,
          nRows,
          w.address,
          w.nIn,
        );
      return;
    }
    case 'rms_norm':
    case 'layer_norm':
    case 'residual_norm':
      runNorm(m, node, id, x, nRows, frame);
      return;
    case 'add_bias':
      kernels.addBiasF32(y, x, weights.vector(node.inputs[1]!), nRows, width);
      return;
    case 'linear':
      runLinear(m, node, y, x, xStride, nRows, frame);
      return;
    case 'slice':
      sliceRows(m, node, y, x, xStride, nRows);
      return;
    case 'rope': {
      const [, nHeads, headDim] = node.shape as ['T', number, number];
      const { cos, sin, ropeDim } = m.ropes.at(node.table);
      const turn = node.layout === 'pairs' ? kernels.ropeF32Pairs : kernels.ropeF32Halves;
      turn(y, width, x, xStride, frame.positions, cos, sin, nRows, nHeads, headDim, ropeDim);
      return;
    }
    case 'kv_write_k':
    case 'kv_write_v':
      writeRows(m, node, x, xStride, frame);
      return;
    case 'rope_write_k':
      writeTurned(m, node, x, xStride, frame);
      return;
    case 'attend_scores':
      attendScores(m, node, y, x, frame);
      return;
    case 'softmax': {
      const nHeads = node.shape[0] as number;
      const { lengths, starts, sinks } = frame.rowsSeen(node);
      for (const { from, count, stride, offset } of frame.segments) {
        const at = offset * nHeads * F32_BYTES;
        const seen = from * F32_BYTES;
        // biome-ignore format: the kernel's arguments in its own order
        kernels.softmaxF32(
          y + at, x + at, lengths + seen, starts + seen, sinks, nHeads, count * stride, count, stride,
        );
      }
      return;
    }
    case 'position_bias': {
      const nHeads = node.shape[0] as number;
      const { lengths, starts, sinks } = frame.rowsSeen(node);
      const bias = weights.vector(node.inputs[2]!);
      for (const { from, count, stride, offset } of frame.segments) {
        const at = offset * nHeads * F32_BYTES;
        const seen = from * F32_BYTES;
        // biome-ignore format: the kernel's arguments in its own order
        kernels.positionBiasF32(
          y + at, x + at, bias, frame.positions + seen, lengths + seen, starts + seen, sinks, nHeads, count * stride,
          count, stride, node.maxDistance,
        );
      }
      return;
    }
    case 'attend_mix':
      attendMix(m, node, y, x, frame);
      return;
    case 'attend':
      attend(m, node, y, x, xStride, frame);
      return;
    case 'add':
      kernels.addF32(y, x, frame.addresses[node.inputs[1]!]!, nRows * width);
      return;
    case 'mul':
      mul(m, node, y, nRows, width, frame);
      return;
    case 'silu':
    case 'silu_fast': {
      const act = node.op === 'silu' ? kernels.siluF32 : kernels.siluFastF32;
      if (xStride === width) act(y, x, nRows * width);
      else for (let t = 0; t < nRows; t++) act(row(y, t, width), row(x, t, xStride), width);
      return;
    }
    case 'gelu':
      kernels.geluF32(y, x, nRows * width);
      return;
    case 'gelu_tanh':
      kernels.geluTanhF32(y, x, nRows * width);
      return;
    case 'quick_gelu':
      kernels.quickGeluF32(y, x, nRows * width);
      return;
    case 'relu':
      kernels.reluF32(y, x, nRows * width);
      return;
    case 'tanh':
      kernels.tanhF32(y, x, nRows * width);
      return;
    case 'soft_cap':
      kernels.softCapF32(y, x, nRows * width, node.cap);
      return;
    case 'scale':
      kernels.scaleF32(y, x, nRows * width, node.by);
      return;
    case 'swiglu':
    case 'swiglu_fast':
    case 'geglu':
    case 'geglu_tanh': {
      const up = node.inputs[1]!;
      const gated = kernels[GATED[node.op]];
      gated(y, width, x, xStride, frame.addresses[up]!, m.places[up]!.rowStride, nRows, width);
      return;
    }
    case 'concat': {
      const [aWidth, bWidth] = node.inputs.map((input) => graph.nodes[input]!.shape.at(-1)) as [number, number];
      const each = width / (aWidth + bWidth);
      kernels.concatF32(y, x, aWidth, frame.addresses[node.inputs[1]!]!, bWidth, nRows * each);
      return;
    }
    case 'head_linear':
      runHeadLinear(m, node, y, x, nRows, frame);
      return;
    case 'sigmoid':
      kernels.sigmoidF32(y, x, nRows * width);
      return;
    case 'softmax_rows':
    case 'choose_experts':
    case 'expert_weights':
    case 'expert_sum':
      runRouting(m, node, y, nRows, width, frame);
      return;
    case 'expert_linear':
      runExpertLinear(m, node, y, x, nRows, frame);
      return;
    case 'take_rows':
      kernels.takeRowsF32(y, x, frame.outRows, nRows, width);
      return;
    default:
      node satisfies never;
  }
}

/** Byte address of row t, of rows that are `stride` floats apart. */
function row(address: number, t: number, stride: number): number {
  return address + t * stride * F32_BYTES;
}

/** Columns of rows, or of the heads of dense rows. */
function sliceRows(
  m: Machine,
  { from, width, inputs, shape }: NodeOf<'slice'>,
  y: number,
  x: number,
  xStride: number,
  nRows: number,
): void {
  const isOfHeads = shape.length === 3;
  const stride = isOfHeads ? (m.graph.nodes[inputs[0]!]!.shape[2] as number) : xStride;
  m.kernels.sliceF32(y, x + from * F32_BYTES, stride, isOfHeads ? nRows * (shape[1] as number) : nRows, width);
}

/** One call, or one for each row where an input is a view of longer rows. */
function mul(m: Machine, node: NodeOf<'mul'>, y: number, nRows: number, width: number, frame: RunFrame): void {
  const [a, b] = node.inputs as [ValueId, ValueId];
  const [aStride, bStride] = [m.places[a]!.rowStride, m.places[b]!.rowStride];
  const [aAt, bAt] = [frame.addresses[a]!, frame.addresses[b]!];
  if (aStride === width && bStride === width) {
    m.kernels.mulF32(y, aAt, bAt, nRows * width);
    return;
  }
  for (let t = 0; t < nRows; t++) m.kernels.mulF32(row(y, t, width), row(aAt, t, aStride), row(bAt, t, bStride), width);
}

function attendScores(m: Machine, node: NodeOf<'attend_scores'>, y: number, q: number, frame: RunFrame): void {
  const { nKvHeads, headDim } = m.graph.kv;
  const nHeads = node.shape[0] as number;
  const qStride = nHeads * headDim;
  const seen = frame.rowsSeen(node);
  forEachRun(m, node.inputs[1]!, seen, frame, (segment, run) => {
    const scores = y + segment.offset * nHeads * F32_BYTES;
    const rows = q + segment.from * qStride * F32_BYTES;
    const lengths = seen.lengths + segment.from * F32_BYTES;
    const starts = seen.starts + segment.from * F32_BYTES;
    const kernel = node.sums === 'f64' ? m.kernels.attendScoresF32Wide : m.kernels.attendScoresF32;
    // biome-ignore format: the kernel's arguments in its own order: output, query, keys, sizes
    kernel(
      scores, segment.stride, segment.count * segment.stride, rows, qStride, run.kAddress, run.headStride, lengths,
      starts, seen.sinks, segment.count, nKvHeads, nHeads / nKvHeads, headDim, run.from, run.count, node.scale,
      node.cap ?? NO_CAP,
    );
  });
}

function attendMix(m: Machine, node: NodeOf<'attend_mix'>, y: number, p: number, frame: RunFrame): void {
  const { nKvHeads, headDim } = m.graph.kv;
  const nHeads = node.shape[1] as number;
  const yStride = nHeads * headDim;
  const seen = frame.rowsSeen(node);
  forEachRun(m, node.inputs[1]!, seen, frame, (segment, run, isFirst) => {
    const probs = p + segment.offset * nHeads * F32_BYTES;
    const mix = y + segment.from * yStride * F32_BYTES;
    const lengths = seen.lengths + segment.from * F32_BYTES;
    const starts = seen.starts + segment.from * F32_BYTES;
    if (run.sums !== undefined) {
      const rows = { lengths, starts, sinks: seen.sinks, count: segment.count };
      for (let h = 0; h < nKvHeads; h++)
        addSums(m, run, h, probs, segment.stride, segment.count * segment.stride, nHeads / nKvHeads, rows);
    }
    // biome-ignore format: the kernel's arguments in its own order: output, probabilities, values, sizes
    m.kernels.attendMixF32(
      mix, yStride, probs, segment.stride, segment.count * segment.stride, run.vAddress, run.headStride, lengths,
      starts, seen.sinks, segment.count, nKvHeads, nHeads / nKvHeads, headDim, run.from, run.count, isFirst ? 0 : 1,
    );
  });
}

function attend(m: Machine, node: NodeOf<'attend'>, y: number, q: number, qStride: number, frame: RunFrame): void {
  const [, nHeads, headDim] = node.shape as ['T', number, number];
  const yStride = nHeads * headDim;
  const group = nHeads / m.graph.kv.nKvHeads;
  const { layer } = m.graph.nodes[node.inputs[1]!] as CacheWrite;
  const { lengths, starts, sinks, ofSegment } = frame.rowsSeen(node);
  frame.segments.forEach((segment, i) => {
    const runs = runsSeen(frame.cache.runs(segment.sequence, layer), ofSegment[i]!);
    const row = segment.from * F32_BYTES;
    if (frame.cache.codes !== null || frame.cache.attended !== undefined) {
      attendByTiles(m, node, runs, ofSegment[i]!, segment, y + row * yStride, q + row * qStride, qStride, frame);
      return;
    }
    frame.setRuns(runs);
    // biome-ignore format: the kernel's arguments in its own order: output, query, cache, what rows see, sizes
    m.kernels.attendF32(
      y + row * yStride, yStride, q + row * qStride, qStride, frame.runs, runs.length, lengths + row,
      starts + row, sinks, segment.count, 0, nHeads, group, headDim, segment.stride, node.scale, node.cap ?? NO_CAP,
      frame.scores,
    );
  });
}

/** The runs of which some row sees something: with a window, what lies before it is not even unpacked. */
function runsSeen(runs: readonly KvRun[], visible: Visible): readonly KvRun[] {
  return runs.filter(({ from, count }) => someSee(visible, from, from + count));
}

/**
 * The same tile by tile from here: where rows are codes, those of one kv head are unpacked, a page at a time, before they are read; and
 * where the cache asks what was attended to, it gets a tile's probabilities.
 */
function attendByTiles(
  m: Machine,
  node: NodeOf<'attend'>,
  allRuns: readonly KvRun[],
  visible: Visible,
  { from, count, stride }: FrameSegment,
  y: number,
  q: number,
  qStride: number,
  frame: RunFrame,
): void {
  const { nKvHeads } = m.graph.kv;
  const [, nHeads, headDim] = node.shape as ['T', number, number];
  const yStride = nHeads * headDim;
  const group = nHeads / nKvHeads;
  const { scores } = frame;
  const seen = frame.rowsSeen(node);
  const { sinks } = seen;
  for (let t = 0; t < count; t += ATTEND_TOKENS) {
    const n = Math.min(ATTEND_TOKENS, count - t);
    const lengths = seen.lengths + (from + t) * F32_BYTES;
    const starts = seen.starts + (from + t) * F32_BYTES;
    const runs = runsSeen(allRuns, rowsFrom(visible, t, n));
    for (let kvHead = 0; kvHead < nKvHeads; kvHead++) {
      const column = kvHead * group * headDim;
      const yt = y + (t * yStride + column) * F32_BYTES;
      const qt = q + (t * qStride + column) * F32_BYTES;
      for (const run of runs) {
        const k = oneHead(m, run, kvHead, false, frame);
        // biome-ignore format: the kernel's arguments in its own order
        m.kernels.attendScoresF32(
          scores, stride, n * stride, qt, qStride, k.kAddress, k.headStride, lengths, starts, sinks, n, 1, group, headDim,
          k.from, k.count, node.scale, node.cap ?? NO_CAP,
        );
      }
      m.kernels.softmaxF32(scores, scores, lengths, starts, sinks, group, n * stride, n, stride);
      const rows = { lengths, starts, sinks, count: n };
      runs.forEach((run, i) => {
        if (run.sums !== undefined) addSums(m, run, kvHead, scores, stride, n * stride, group, rows, 0);
        const v = oneHead(m, run, kvHead, true, frame);
        // biome-ignore format: the kernel's arguments in its own order
        m.kernels.attendMixF32(
          yt, yStride, scores, stride, n * stride, v.vAddress, v.headStride, lengths, starts, sinks, n, 1, group, headDim,
          v.from, v.count, i === 0 ? 0 : 1,
        );
      });
    }
  }
}

/** Adds the probabilities of a kv head's heads to the sums of one stretch. p: that of kv head `first`, where all of them lie. */
function addSums(
  m: Machine,
  run: KvRun,
  kvHead: number,
  p: number,
  stride: number,
  headStride: number,
  group: number,
  { lengths, starts, sinks, count }: { lengths: number; starts: number; sinks: number; count: number },
  headOfP = kvHead,
): void {
  const sums = run.sums! + kvHead * PAGE_POSITIONS * F32_BYTES;
  const probs = p + headOfP * group * headStride * F32_BYTES;
  // biome-ignore format: the kernel's arguments in its own order
  m.kernels.attendSumsF32(sums, probs, stride, headStride, lengths, starts, sinks, count, group, run.from, run.count);
}

/** A stretch of one kv head, unpacked where its rows are codes. */
function oneHead(m: Machine, run: KvRun, kvHead: number, isValue: boolean, frame: RunFrame): KvRun {
  const skip = kvHead * run.headStride;
  const of = { ...run, kAddress: run.kAddress + skip, vAddress: run.vAddress + skip };
  return run.rows === 'f32' ? of : unpacked(m, of, isValue, frame, 1);
}

/**
 * Every stretch of every sequence's rows in the layer that the value `cached` stands for, by rising positions, as far as some row sees
 * it. Of rows that are codes, the keys or the values, whichever it is, lie unpacked in the frame's tile during the visit.
 */
function forEachRun(
  m: Machine,
  cached: ValueId,
  seen: RowsSeen,
  frame: RunFrame,
  visit: (segment: FrameSegment, run: KvRun, isFirst: boolean) => void,
): void {
  const { op, layer } = m.graph.nodes[cached] as CacheWrite;
  frame.segments.forEach((segment, s) => {
    runsSeen(frame.cache.runs(segment.sequence, layer), seen.ofSegment[s]!).forEach((run, i) => {
      const rows = run.rows === 'f32' ? run : unpacked(m, run, op === 'kv_write_v', frame, m.graph.kv.nKvHeads);
      visit(segment, rows, i === 0);
    });
  });
}

/** nHeads: how many kv heads, from the run's first on. */
function unpacked(m: Machine, run: KvRun, isValue: boolean, frame: RunFrame, nHeads: number): KvRun {
  const { headDim } = m.graph.kv;
  assert(run.count <= PAGE_POSITIONS, `a run of ${run.count} coded rows fits the tile of ${PAGE_POSITIONS}`);
  const unpack = run.rows === 'q8_0' ? m.kernels.kvUnpackQ80 : m.kernels.kvUnpackQ40;
  const headStride = headDim * PAGE_POSITIONS * F32_BYTES;
  const nGroups = Math.ceil(run.count / LANE_POSITIONS);
  const from = isValue ? run.vAddress : run.kAddress;
  unpack(frame.tile, headStride, from, run.headStride, nGroups, nHeads, headDim, isValue ? 1 : 0);
  return { ...run, kAddress: frame.tile, vAddress: frame.tile, headStride };
}
