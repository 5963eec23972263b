import { assert } from '../../core/errors.ts';
import type { NodeOf } from '../../graph/ir.ts';
import type { KvRun } from '../../kvcache/cache.ts';
import { PAGE_POSITIONS } from '../../kvcache/row_pages.ts';
import type { RunFrame } from './frame.ts';
import type { Machine } from './machine.ts';

const F32_BYTES = 4;
const I32_BYTES = 4;

/** Stores new rows of keys or values. */
export function writeRows(
  m: Machine,
  node: NodeOf<'kv_write_k' | 'kv_write_v'>,
  x: number,
  xStride: number,
  frame: RunFrame,
): void {
  forEachNewStretch(node.layer, frame, (run, position, t, count) =>
    storeRows(m, run, node.op === 'kv_write_v', position, x + t * xStride * F32_BYTES, xStride, count),
  );
}

/** Turns new keys and stores them. What is rounded to codes is turned into the frame's tile first: of codes, a stretch fits it. */
export function writeTurned(
  m: Machine,
  node: NodeOf<'rope_write_k'>,
  x: number,
  xStride: number,
  frame: RunFrame,
): void {
  const { nKvHeads, headDim } = m.graph.kv;
  const width = nKvHeads * headDim;
  const { cos, sin, ropeDim } = m.ropes.at(node.table);
  forEachNewStretch(node.layer, frame, (run, position, t, count) => {
    const rows = x + t * xStride * F32_BYTES;
    const at = frame.positions + t * I32_BYTES;
    if (run.rows === 'f32') {
      const isPairs = node.layout === 'pairs' ? 1 : 0;
      // biome-ignore format: the kernel's arguments in its own order
      m.kernels.ropeWriteKF32(
        run.kAddress, run.headStride, position, rows, xStride, at, cos, sin, count, nKvHeads, headDim, ropeDim, isPairs,
      );
    } else {
      assert(count <= PAGE_POSITIONS, `${count} new rows of codes fit the tile of ${PAGE_POSITIONS}`);
      const turn = node.layout === 'pairs' ? m.kernels.ropeF32Pairs : m.kernels.ropeF32Halves;
      turn(frame.tile, width, rows, xStride, at, cos, sin, count, nKvHeads, headDim, ropeDim);
      storeRows(m, run, false, position, frame.tile, width, count);
    }
  });
}

/**
 * Where the cache has reserved places for new rows, which may lie in several stretches: `count` rows of the batch from row t on go to
 * `position` of a stretch and on.
 */
function forEachNewStretch(
  layer: number,
  frame: RunFrame,
  visit: (run: KvRun, position: number, t: number, count: number) => void,
): void {
  for (const segment of frame.segments) {
    const first = frame.batch.positions[segment.from]! - frame.cache.dropped(segment.sequence);
    for (const run of frame.cache.runs(segment.sequence, layer)) {
      const from = Math.max(first, run.from);
      const until = Math.min(first + segment.count, run.from + run.count);
      if (from < until) visit(run, from - run.from, segment.from + from - first, until - from);
    }
  }
}

/** nTokens rows at x, as the stretch stores its rows. */
function storeRows(
  m: Machine,
  run: KvRun,
  isValue: boolean,
  position: number,
  x: number,
  xStride: number,
  nTokens: number,
): void {
  const { nKvHeads, headDim } = m.graph.kv;
  const address = isValue ? run.vAddress : run.kAddress;
  if (run.rows === 'f32') {
    const write = isValue ? m.kernels.kvWriteVF32 : m.kernels.kvWriteKF32;
    write(address, run.headStride, position, x, xStride, nTokens, nKvHeads, headDim);
  } else {
    const pack = run.rows === 'q8_0' ? m.kernels.kvPackQ80 : m.kernels.kvPackQ40;
    pack(address, run.headStride, position, x, xStride, nTokens, nKvHeads, headDim, isValue ? 1 : 0);
  }
}
