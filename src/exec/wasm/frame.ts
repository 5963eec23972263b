import { DTYPES } from '../../core/dtype.ts';
import type { KernelBuild } from '../../core/host.ts';
import type { Graph, Node, NodeOf, ValueId } from '../../graph/ir.ts';
import type { KvCache, KvRun } from '../../kvcache/cache.ts';
import { LANE_POSITIONS } from '../../kvcache/layout.ts';
import { PAGE_POSITIONS } from '../../kvcache/row_pages.ts';
import type { Windowed } from '../../ops/table.ts';
import type { Visible } from '../../ops/visible.ts';
import { takesQ8 } from '../../quant/codes.ts';
import { type Batch, feedOfBatch, limitsOf, patchesOf, rowsRead, type Segment, visibleTo } from '../executor.ts';
import { NO_BUFFER, planBuffers, type RunSizes } from '../plan.ts';
import type { Arena } from './arena.ts';
import {
  attendScratchBytes,
  linearScratchBytes,
  quantizedRowsBytes,
  RUN_WORDS,
  scoreStride,
  VECTOR_BYTES,
  WIDE_ROWS,
} from './layout.ts';

/** One run's batch, and the byte addresses that its kernels work with. Valid until the next frame is opened. */
export interface RunFrame {
  readonly batch: Batch;
  readonly cache: KvCache;
  /** Of each value; NO_BUFFER where a value has none. */
  readonly addresses: readonly number[];
  /** i32 [T] each. */
  readonly ids: number;
  readonly positions: number;
  /** Only where the graph reads them. */
  readonly types: number;
  /** What each row sees of its sequence's rows in an attention op of these limits (src/ops/visible.ts). */
  rowsSeen(limits: Windowed): RowsSeen;
  /** i32 [R]. */
  readonly outRows: number;
  readonly segments: readonly FrameSegment[];
  /** Writes the batch's patches, [T, width], to an address. */
  putPatches(address: number, width: number): void;
  /** Quantized rows of one value; which value's they are now, in blocks of what size: linears that read the same share them. */
  readonly quantized: number;
  quantizedOf: ValueId | undefined;
  quantizedBlock: number;
  /** Scratch of matrix products, one piece for each thread. */
  readonly panel: number;
  /** One page of one layer's keys or values, unpacked: of caches whose rows are codes. */
  readonly tile: number;
  /** Scratch of attention, one piece for each thread; and the stretches of one sequence's cache that setRuns wrote. */
  readonly scores: number;
  readonly runs: number;
  setRuns(runs: readonly KvRun[]): void;
  /** A view of n floats, valid until memory grows. */
  floats(address: number, n: number): Float32Array;
  /** Writes i32 words for one kernel call, at most those of the chosen experts or two, and gives the address of each. */
  putWords(words: readonly number[]): readonly number[];
  /** Scratch of expert_linear: the rows that chose one expert, nFloats of them, and behind them what it gives. */
  experts(nFloats: number): { readonly rows: number; readonly products: number };
}

export interface FrameSegment extends Segment {
  /** Floats from one row of scores to the next. */
  readonly stride: number;
  /** Cells of one head before this segment's: its scores start at offset x nHeads floats. */
  readonly offset: number;
}

/** What the rows of a batch see: i32 [T] each for kernels, and the same for each segment. */
export interface RowsSeen {
  readonly lengths: number;
  readonly starts: number;
  readonly sinks: number;
  readonly ofSegment: readonly Visible[];
}

export interface Frames {
  /** Bytes of scratch held now. */
  readonly nBytes: number;
  open(batch: Batch, cache: KvCache): RunFrame;
}

/**
 * Sizes change slowly from run to run (S grows by one), so a plan is made for sizes rounded up to this many cells and kept
 * until one of them changes.
 */
const CELL_STEP = 256;

const I32_BYTES = 4;

/** Lays out the scratch memory of each run. One buffer, which grows when a run needs more and is used again by the next. */
export function createFrames(graph: Graph, arena: Arena, build: KernelBuild, nThreads = 1): Frames {
  const sizesOf = partSizes(graph, build, nThreads);
  const hasTypes = rowsRead(graph, 'types') !== undefined;
  const allLimits = limitsIn(graph);
  const keys = allLimits.map(keyOf);
  let memory = { address: 0, nBytes: 0 };
  let planned: { key: string; offsets: readonly number[]; totalBytes: number } | undefined;
  let placed: { offsets: readonly number[]; from: number; addresses: readonly number[] } | undefined;

  const plan = (sizes: RunSizes) => {
    const key = `${sizes.T} ${sizes.R} ${sizes.attendCells}`;
    if (planned?.key !== key) planned = { key, ...planBuffers(graph, sizes) };
    return planned;
  };

  /** The addresses of a plan's values in the scratch memory: the same from run to run, as long as both stay. */
  const place = (offsets: readonly number[], from: number): readonly number[] => {
    if (placed?.offsets !== offsets || placed.from !== from) {
      const addresses = offsets.map((offset) => (offset === NO_BUFFER ? NO_BUFFER : from + offset));
      placed = { offsets, from, addresses };
    }
    return placed.addresses;
  };

  return {
    get nBytes() {
      return memory.nBytes;
    },
    open(batch, cache) {
      const nTokens = batch.ids.length;
      const nOut = batch.outRows.length;
      const segments: FrameSegment[] = [];
      let cells = 0;
      let longest = 0;
      for (const segment of batch.segments) {
        const stride = scoreStride(cache.length(segment.sequence) - cache.dropped(segment.sequence));
        segments.push({ ...segment, stride, offset: cells });
        cells += segment.count * stride;
        longest = Math.max(longest, stride);
      }
      const sizes = { T: nTokens, R: nOut, attendCells: wholeCells(cells) };
      const { offsets, totalBytes } = plan(sizes);

      // values | ids, positions, types, outRows, lengths and starts of each window | quantized rows | panel | scores | runs | words |
      // experts | tile
      const parts = sizesOf(nTokens, nOut, longest);
      const { feedBytes, quantizedBytes, panelBytes, scoreBytes, runBytes, wordBytes, expertBytes } = parts;
      const tileBytes = cache.codes === null ? 0 : tileBytesOf(graph.kv);
      const needed = Object.values(parts).reduce((sum, nBytes) => sum + nBytes, totalBytes + tileBytes);
      if (needed > memory.nBytes) {
        // Given back first, so that both need not fit; forgotten at once, in case the larger one does not fit either.
        if (memory.nBytes > 0) arena.free(memory.address);
        memory = { address: 0, nBytes: 0 };
        memory = { address: arena.alloc(needed), nBytes: needed };
      }
      const values = memory.address;
      const ids = values + totalBytes;
      const positions = ids + nTokens * I32_BYTES;
      const types = positions + nTokens * I32_BYTES;
      const outRows = types + (hasTypes ? nTokens * I32_BYTES : 0);
      const seen = outRows + nOut * I32_BYTES;
      const quantized = ids + feedBytes;
      const panel = quantized + quantizedBytes;
      const scores = panel + panelBytes;
      const runs = scores + scoreBytes;
      const words = runs + runBytes;
      const experts = words + wordBytes;
      arena.i32(ids, nTokens).set(batch.ids);
      arena.i32(positions, nTokens).set(batch.positions);
      const rowsSeen = allLimits.map((limits, i): RowsSeen => {
        const lengths = seen + 2 * i * nTokens * I32_BYTES;
        const starts = lengths + nTokens * I32_BYTES;
        const ofSegment = batch.segments.map((segment) => {
          const visible = visibleTo(batch, segment, cache, limits);
          arena.i32(lengths + segment.from * I32_BYTES, segment.count).set(visible.lengths);
          arena.i32(starts + segment.from * I32_BYTES, segment.count).set(visible.starts);
          return visible;
        });
        return { lengths, starts, sinks: ofSegment[0]?.sinks ?? 0, ofSegment };
      });
      if (hasTypes) arena.i32(types, nTokens).set(feedOfBatch(batch, 'types', graph));
      arena.i32(outRows, nOut).set(batch.outRows);
      return {
        batch,
        cache,
        addresses: place(offsets, values),
        ids,
        positions,
        types,
        rowsSeen: (limits) => rowsSeen[keys.indexOf(keyOf(limits))]!,
        outRows,
        segments,
        putPatches: (address, width) => arena.f32(address, nTokens * width).set(patchesOf(batch, width)),
        quantized,
        quantizedOf: undefined,
        quantizedBlock: 0,
        panel,
        scores,
        runs,
        tile: experts + expertBytes,
        floats: (address, n) => arena.f32(address, n),
        putWords: (values) => {
          arena.i32(words, values.length).set(values);
          return values.map((_, i) => words + i * I32_BYTES);
        },
        experts: (nFloats) => ({ rows: experts, products: experts + nFloats * Float32Array.BYTES_PER_ELEMENT }),
        setRuns: (stretches) => {
          const table = arena.i32(runs, stretches.length * RUN_WORDS);
          stretches.forEach(({ from, count, kAddress, vAddress, headStride }, i) => {
            const at = i * RUN_WORDS;
            table[at] = from;
            table[at + 1] = count;
            table[at + 2] = kAddress; // above 2 GiB it wraps around, and the kernel takes it as unsigned
            table[at + 3] = vAddress;
            table[at + 4] = headStride;
          });
        },
      };
    },
  };
}

/** Bytes of the tile of a cache whose rows are codes. */
export function tileBytesOf({ nKvHeads, headDim }: Graph['kv']): number {
  return nKvHeads * headDim * PAGE_POSITIONS * Float32Array.BYTES_PER_ELEMENT;
}

/** Bytes of scratch that a run of nTokens takes at the end of a sequence of nPositions, of which one row of logits is wanted. */
export function scratchBytes(
  graph: Graph,
  build: KernelBuild,
  nTokens: number,
  nPositions: number,
  nThreads = 1,
): number {
  const sizes = { T: nTokens, R: 1, attendCells: wholeCells(nTokens * scoreStride(nPositions)) };
  const parts = partSizes(graph, build, nThreads)(nTokens, 1, scoreStride(nPositions));
  return Object.values(parts).reduce((sum, nBytes) => sum + nBytes, planBuffers(graph, sizes).totalBytes);
}

/**
 * Bytes of what a frame has besides values, for nTokens of which nOut rows are wanted, and sequences of which the longest has
 * score rows of `stride`. What the graph says is looked up once: a
 * token of a small model has 4 ms, and walking over its 800 nodes takes 60 microseconds.
 */
export function partSizes(graph: Graph, build: KernelBuild, nThreads: number) {
  const all = matrices(graph);
  const isWide = graph.nodes.some((node) => 'sums' in node && node.sums === 'f64');
  const wideBytes = isWide
    ? WIDE_ROWS * Math.max(0, ...all.map(({ width }) => width)) * Float32Array.BYTES_PER_ELEMENT
    : 0;
  const ofThread = all.reduce((n, m) => Math.max(n, linearScratchBytes(m.dtype, m.width)), 0);
  const panelBytes = Math.max(nThreads * ofThread, wideBytes);
  const quantized = new Map<string, { width: number; blockSize: number }>();
  for (const { takesQ8, width, dtype } of all) {
    const { blockSize } = DTYPES[dtype];
    if (takesQ8) quantized.set(`${width} ${blockSize}`, { width, blockSize });
  }
  const shapes = [...quantized.values()];
  const groups = graph.nodes.flatMap((n) => (n.op === 'attend' ? [(n.shape[1] as number) / graph.kv.nKvHeads] : []));
  const group = Math.max(0, ...groups);
  const stacks = graph.nodes.flatMap((n) => (n.op === 'expert_linear' ? [graph.nodes[n.inputs[1]!]!.shape] : []));
  const expertFloats = Math.max(0, ...stacks.map(([, nOut, nIn]) => (nOut as number) + (nIn as number)));
  const hasRows = graph.nodes.some((n) => n.op === 'softmax_rows');
  const nFeeds = (rowsRead(graph, 'types') === undefined ? 2 : 3) + 2 * limitsIn(graph).length;
  return (nTokens: number, nOut: number, stride: number) => {
    const cells = wholeCells(stride);
    const nRows = Math.max(nTokens, nOut);
    const bytes = shapes.map(({ width, blockSize }) => quantizedRowsBytes(build, nRows, width, blockSize));
    return {
      feedBytes: Math.ceil(((nFeeds * nTokens + nOut) * I32_BYTES) / VECTOR_BYTES) * VECTOR_BYTES,
      quantizedBytes: Math.max(0, ...bytes),
      panelBytes,
      scoreBytes: nThreads * attendScratchBytes(nTokens, group * graph.kv.nKvHeads, group, cells),
      // Stretches are whole blocks of the cache, the last one aside.
      runBytes: (cells / LANE_POSITIONS + 1) * RUN_WORDS * I32_BYTES,
      // The rows of one expert, of which each token is at most one; the two words of softmax_rows; the numbers of rows for sums in f64.
      wordBytes: Math.max(hasRows ? 2 : 0, stacks.length > 0 ? nRows : 0, isWide ? WIDE_ROWS : 0) * I32_BYTES,
      expertBytes: nRows * expertFloats * Float32Array.BYTES_PER_ELEMENT,
    };
  };
}

/** The different limits of a graph's attention, none among them where there is an op without. */
function limitsIn(graph: Graph): Windowed[] {
  const attention = graph.nodes.filter(isAttention);
  return [...new Map(attention.map((node) => [keyOf(node), limitsOf(node)])).values()];
}

function keyOf({ window, sees }: Windowed): string {
  return `${window} ${sees}`;
}

function isAttention(
  node: Node,
): node is NodeOf<'attend_scores' | 'position_bias' | 'softmax' | 'attend_mix' | 'attend'> {
  return (
    node.op === 'attend_scores' ||
    node.op === 'position_bias' ||
    node.op === 'softmax' ||
    node.op === 'attend_mix' ||
    node.op === 'attend'
  );
}

function wholeCells(cells: number): number {
  return Math.ceil(cells / CELL_STEP) * CELL_STEP;
}

function matrices(graph: Graph): { width: number; dtype: NodeOf<'weight'>['dtype']; takesQ8: boolean }[] {
  return graph.nodes.flatMap((node) => {
    if (node.op !== 'linear' && node.op !== 'expert_linear' && node.op !== 'head_linear') return [];
    const w = graph.nodes[node.inputs[1]!] as NodeOf<'weight'>;
    return [
      { width: w.shape.at(-1) as number, dtype: w.dtype, takesQ8: node.activations === 'q8' && takesQ8(w.dtype) },
    ];
  });
}
