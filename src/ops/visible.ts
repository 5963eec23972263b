import { ShapeError } from '../core/errors.ts';

/**
 * Which cached positions each new row sees. Row t sees position s when
 *
 *   s < lengths[t]   and   (s < sinks  or  s >= starts[t])
 *
 *   0        sinks                 starts[t]          lengths[t]
 *   |  seen  |        not seen     |       seen       |  not seen ...
 *
 * Plain causal attention: sinks 0, starts 0, lengths = position + 1. A sliding window of w positions: starts = lengths - w.
 * What is not seen is not read (0 x NaN is NaN). Sums run over rising s, and sums of core/sum.ts put s into lane s mod 4
 * whatever is seen, so a row's bits depend on what it sees and on nothing else.
 * Source of the sinks: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks".
 */
export interface Visible {
  /** [T] */
  readonly lengths: Int32Array;
  /** [T], not below sinks unless both are 0. */
  readonly starts: Int32Array;
  readonly sinks: number;
}

/** Row t sees positions 0 .. lengths[t]-1. */
export function allUpTo(lengths: Int32Array): Visible {
  return { lengths, starts: new Int32Array(lengths.length), sinks: 0 };
}

/** A sliding window: a row sees its own position, the size - 1 before it, and the first `sinks` positions of its sequence. */
export interface SlidingWindow {
  readonly size: number;
  readonly sinks: number;
}

/**
 * What rows at these positions see of a sequence: all up to themselves, or a window.
 *
 * layerWindow: of a layer that looks back over so many positions only, its own among them. Where it is the narrower of the two windows,
 * it alone counts, so that a cache whose window covers the sequence changes no bit; otherwise the cache's sinks stay seen.
 * dropped: positions between the sinks and the windows that are not among the cached rows any more, a multiple of 4, so that a
 * row's index has the lane of its position. The result counts rows: position s is row s before them, row s - dropped behind.
 */
export function visibleAt(
  positions: Int32Array,
  window: SlidingWindow | null,
  dropped: number,
  layerWindow = Infinity,
): Visible {
  const lengths = positions.map((p) => p + 1 - dropped);
  if (window === null && layerWindow === Infinity) return allUpTo(lengths);
  const size = Math.min(window?.size ?? Infinity, layerWindow);
  const sinks = window === null || layerWindow <= window.size ? 0 : window.sinks;
  return { lengths, starts: lengths.map((n) => Math.max(sinks, n - size)), sinks };
}

/** Rows of a whole sequence that see each other, or, with a window, what is less than so many positions away on either side. */
export function visibleAround(nPositions: number, layerWindow = Infinity): Visible {
  const all = Int32Array.from({ length: nPositions }, (_, t) => t);
  return {
    lengths: all.map((t) => Math.min(nPositions, t + layerWindow)),
    starts: all.map((t) => Math.max(0, t + 1 - layerWindow)),
    sinks: 0,
  };
}

/** What the n rows from t on see. */
export function rowsFrom({ lengths, starts, sinks }: Visible, t: number, n: number): Visible {
  return { lengths: lengths.subarray(t, t + n), starts: starts.subarray(t, t + n), sinks };
}

/** Whether one of the rows sees one of the positions from .. until - 1. */
export function someSee({ lengths, starts, sinks }: Visible, from: number, until: number): boolean {
  return lengths.some((length, t) => from < length && (from < sinks || until > starts[t]!));
}

/** The positions that row t sees, as at most two stretches [from, until), by rising positions. */
export function seenBy({ lengths, starts, sinks }: Visible, t: number): (readonly [from: number, until: number])[] {
  const length = lengths[t]!;
  const start = starts[t]!;
  if (start <= sinks) return [[0, length]];
  const first = Math.min(sinks, length);
  return [
    [0, first],
    [Math.max(first, start), Math.max(first, start, length)],
  ];
}

/** Throws ShapeError naming the first row that would see fewer than 0 or more than the nPositions cached positions. */
export function assertVisible({ lengths, starts, sinks }: Visible, nPositions: number): void {
  if (starts.length !== lengths.length) {
    throw new ShapeError(`attend: ${lengths.length} rows have ${starts.length} starts`);
  }
  if (!(Number.isInteger(sinks) && sinks >= 0)) throw new ShapeError(`attend: sinks is ${sinks}, must be 0 or more`);
  for (let t = 0; t < lengths.length; t++) {
    const n = lengths[t]!;
    if (!(n >= 0 && n <= nPositions)) {
      throw new ShapeError(`attend: row ${t} sees ${n} positions, the cache holds ${nPositions}`);
    }
    if (starts[t]! < sinks)
      throw new ShapeError(`attend: row ${t} starts at ${starts[t]}, before the ${sinks} sinks end`);
  }
}
