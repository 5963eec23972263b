/**
 * Where a position's numbers lie (law 3: lanes hold different outputs).
 *
 *   K of one kv head: blocks of 16 positions, [block][headDim][16]: a score sums over headDim, so neighbouring lanes are
 *   neighbouring positions.
 *     block 0:  d=0: p0 p1 ... p15 | d=1: p0 p1 ... p15 | ...      block 1:  d=0: p16 ...
 *   V of one kv head: [position][headDim]: the mix sums over positions, so neighbouring lanes are neighbouring head dims.
 */
export interface KvLayout {
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly elementBytes: 4 | 8;
}

/** Positions whose keys interleave. Four f32 vectors: as many as a score kernel sums at a time. */
export const LANE_POSITIONS = 16;

/** Capacity is a whole number of blocks. */
export function roundUpToBlock(nPositions: number): number {
  return Math.ceil(nPositions / LANE_POSITIONS) * LANE_POSITIONS;
}

/** Index of K element d of `position`, within the stretch of one kv head. */
export function kIndex(headDim: number, position: number, d: number): number {
  const block = Math.floor(position / LANE_POSITIONS);
  return (block * headDim + d) * LANE_POSITIONS + (position % LANE_POSITIONS);
}

/** Index of V element d of `position`, within the stretch of one kv head. */
export function vIndex(headDim: number, position: number, d: number): number {
  return position * headDim + d;
}

/** Bytes that one position takes, all layers, K and V. */
export function bytesPerPosition(layout: KvLayout): number {
  return 2 * layout.nLayers * layout.nKvHeads * layout.headDim * layout.elementBytes;
}
