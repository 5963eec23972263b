import fc from 'fast-check';
import { type Tensor, tensor } from '../../src/core/tensor.ts';
import { scoreStride } from '../../src/exec/wasm/layout.ts';
import { type kIndex, roundUpToBlock, type vIndex } from '../../src/kvcache/layout.ts';
import { allUpTo, type Visible } from '../../src/ops/visible.ts';
import { type FloatSource, floatSource, hardFloats, skews } from './hard_floats.ts';

export interface AttendCase {
  readonly source: FloatSource;
  /** lengths[t]: how many positions row t sees; not always rising. */
  readonly lengths: readonly number[];
  /** Row t sees nothing from `sinks` up to the starts[t mod their number]-th position behind them. None: plain causal rows. */
  readonly sinks: number;
  readonly starts: readonly number[];
  readonly nKvHeads: number;
  readonly group: number;
  readonly headDim: number;
  readonly gap: number;
  readonly skew: number;
  /** Where the positions are cut into runs, in blocks of 16: the stretches of a cache. */
  readonly cuts: readonly number[];
  /** Positions of the cache behind the longest row. */
  readonly spare: number;
  /** What scores are held under, where they are. */
  readonly cap: number | undefined;
  /** Tokens and kv heads of a kernel's first call; a second one does the rest. */
  readonly tokensFirst: number;
  readonly headsFirst: number;
}

/** Prefill (lengths rise by one), decode, and rows of any lengths; over the borders of key blocks and of chunks of 64. */
const rowLengths: fc.Arbitrary<number[]> = fc.oneof(
  fc
    .tuple(fc.nat(90), fc.integer({ min: 1, max: 9 }))
    .map(([old, n]) => Array.from({ length: n }, (_, t) => old + t + 1)),
  fc.nat(200).map((n) => [n]),
  fc.array(fc.nat(100), { maxLength: 6 }),
);

export const attendCases: fc.Arbitrary<AttendCase> = fc.record({
  source: floatSource,
  lengths: rowLengths,
  sinks: fc.constantFrom(0, 0, 1, 4, 15, 16, 17, 40, 66),
  starts: fc.array(fc.oneof(fc.nat(20), fc.nat(150)), { maxLength: 6 }),
  nKvHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 7 }),
  headDim: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 24, 31, 36, 68)),
  gap: fc.constantFrom(0, 0, 3),
  skew: skews,
  cuts: fc.array(fc.nat(8), { maxLength: 3 }),
  spare: fc.nat(20),
  cap: fc.constantFrom(undefined, undefined, 0.5, 2, 50),
  tokensFirst: fc.constantFrom(0, 1, 4, 5, 9),
  headsFirst: fc.nat(2),
});

export function attendSizes(c: AttendCase) {
  const nPositions = Math.max(0, ...c.lengths) + c.spare;
  return {
    nTokens: c.lengths.length,
    nHeads: c.nKvHeads * c.group,
    nPositions,
    sStride: scoreStride(nPositions),
    /** Positions that the cache of one kv head has room for. */
    capacity: roundUpToBlock(nPositions),
  };
}

/** What the rows of a case see. */
export function visibleOf({ lengths, sinks, starts }: Pick<AttendCase, 'lengths' | 'sinks' | 'starts'>): Visible {
  if (starts.length === 0) return allUpTo(Int32Array.from(lengths));
  return {
    lengths: Int32Array.from(lengths),
    starts: Int32Array.from(lengths, (_, t) => sinks + starts[t % starts.length]!),
    sinks,
  };
}

/** Whether row t sees position s: the definition of src/ops/visible.ts, said in another way. */
export function sees({ lengths, starts, sinks }: Visible, t: number, s: number): boolean {
  return s < lengths[t]! && (s < sinks || s >= starts[t]!);
}

/** The runs [from, count] that a case's positions are cut into. */
export function runsOf(c: AttendCase): { from: number; count: number }[] {
  const { nPositions } = attendSizes(c);
  const borders = [0, ...c.cuts.map((block) => 16 * block).filter((at) => at < nPositions), nPositions];
  const sorted = [...new Set(borders)].sort((a, b) => a - b);
  return sorted.slice(1).map((until, i) => ({ from: sorted[i]!, count: until - sorted[i]! }));
}

export interface AttendCall {
  readonly token: number;
  readonly nTokens: number;
  readonly kvHead: number;
  readonly nKvHeads: number;
  readonly run: { readonly from: number; readonly count: number };
}

/** The calls that a case is cut into: ranges of tokens and of kv heads, each over all runs by rising positions. */
export function callsOf(c: AttendCase, runs: readonly AttendCall['run'][] = runsOf(c)): AttendCall[] {
  return cut(c.lengths.length, c.tokensFirst).flatMap(([token, nTokens]) =>
    cut(c.nKvHeads, c.headsFirst).flatMap(([kvHead, nKvHeads]) =>
      runs.map((run) => ({ token, nTokens, kvHead, nKvHeads, run })),
    ),
  );
}

/** [first, count] of what comes before `at`, and of the rest; one part where the other would be empty. */
function cut(n: number, at: number): [number, number][] {
  if (at <= 0 || at >= n) return [[0, n]];
  return [
    [0, at],
    [at, n - at],
  ];
}

/** Rows [S, nKvHeads, headDim] in the order of the cache, [nKvHeads][capacity x headDim]; the rest is NaN, which must not be read. */
export function asCache(rows: Tensor, capacity: number, index: typeof kIndex | typeof vIndex): Float32Array {
  const [nPositions, nKvHeads, headDim] = rows.shape as [number, number, number];
  const cache = new Float32Array(nKvHeads * capacity * headDim).fill(NaN);
  for (let s = 0; s < nPositions; s++) {
    for (let h = 0; h < nKvHeads; h++) {
      for (let d = 0; d < headDim; d++) {
        cache[h * capacity * headDim + index(headDim, s, d)] = rows.data[(s * nKvHeads + h) * headDim + d]!;
      }
    }
  }
  return cache;
}

/** Rows of n elements, `stride` apart, as dense ones. */
export function dense(x: Float32Array, nRows: number, n: number, stride: number): Float32Array {
  const y = new Float32Array(nRows * n);
  for (let t = 0; t < nRows; t++) y.set(x.subarray(t * stride, t * stride + n), t * n);
  return y;
}

/** [nPositions, nKvHeads, headDim] of hard floats; positions that no row sees are NaN: they must not matter. */
export function cachedRows(c: AttendCase, salt: number): Tensor {
  const { nPositions } = attendSizes(c);
  const width = c.nKvHeads * c.headDim;
  const data = hardFloats(c.source, nPositions * width, salt);
  const visible = visibleOf(c);
  for (let s = 0; s < nPositions; s++) {
    if (!c.lengths.some((_, t) => sees(visible, t, s))) data.fill(NaN, s * width, (s + 1) * width);
  }
  return tensor([nPositions, c.nKvHeads, c.headDim], data);
}
