import { ShapeError, UnsupportedError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { Graph, Node, NodeOf } from '../graph/ir.ts';
import type { KvCache, KvSequence } from '../kvcache/cache.ts';
import { checkCoded } from '../kvcache/coded_rows.ts';
import { type KvOptions, lossesIn } from '../kvcache/options.ts';
import type { Windowed } from '../ops/table.ts';
import { allUpTo, type Visible, visibleAround, visibleAt } from '../ops/visible.ts';

/** naive64 is the truth, naive the f32 definition, wasm the fast path with naive's bits. */
export type Tier = 'naive64' | 'naive' | 'wasm';

/**
 * What one run computes: T new tokens of one or several sequences. The tokens of a sequence are consecutive rows, and
 * their places in the cache are reserved already.
 */
export interface Batch {
  /** [T] */
  readonly ids: Int32Array;
  /** [T], each token's position in its own sequence. */
  readonly positions: Int32Array;
  /** Whose rows are whose, by rising rows, without gaps. */
  readonly segments: readonly Segment[];
  /** [T], which text of a pair a token is of: what a graph with the feed `types` reads (encoders). */
  readonly types?: Int32Array;
  /** [R], the rows whose logits are wanted. */
  readonly outRows: Int32Array;
  /**
   * True: every row sees all rows of its sequence, which must be in this run from the first one on (encoders). Otherwise a row
   * sees those up to its own position, as the cache's window allows (decoders).
   */
  readonly isBidirectional?: boolean;
  /** [T, width], f32 for the f32 tiers and float64 for naive64: what a graph with the op `patches` reads. */
  readonly patches?: Float32Array | Float64Array;
}

export interface Segment {
  readonly sequence: KvSequence;
  /** First row, and number of rows. */
  readonly from: number;
  readonly count: number;
  /**
   * Encoder-decoders: how many rows of the sequence, its first ones, hold keys and values of the encoder's rows. Attention ops with
   * `sees: 'source'` see these, all others the rows behind them.
   */
  readonly source?: number;
}

/** One value of a run, as it was computed. `data` is only valid during the call: copy what is to be kept. */
export interface TraceEvent {
  readonly name: string;
  readonly op: string;
  readonly shape: Shape;
  readonly data: Float32Array | Float64Array;
}

export type Trace = (event: TraceEvent) => void;

/** Logits [R, vocab]: f32, and float64 from naive64. The array is the caller's: no later run touches it. */
export interface Logits {
  readonly vocab: number;
  readonly data: Float32Array | Float64Array;
}

export interface ExecutorMemory {
  readonly weightBytes: number;
  readonly scratchBytes: number;
}

/** One contract, three tiers. An executor owns its weights; the cache is an argument of every run. */
export interface Executor {
  readonly tier: Tier;
  readonly graph: Graph;
  /** "wasm relaxed": for the figures line. */
  readonly kernels: string;
  /** How many threads compute. */
  readonly threads: number;
  readonly memory: ExecutorMemory;
  /** A cache whose rows this executor can read and write; contiguous unless said. Throws ConfigError for wrong options. */
  createCache(maxSeq: number, options?: KvOptions): KvCache;
  /**
   * Computes the logits of `batch`, and writes the new rows into `cache`.
   * Throws ShapeError when ids, positions or segments do not fit each other or the cache.
   */
  run(batch: Batch, cache: KvCache, trace?: Trace): Logits;
  dispose(): void;
}

/** Throws ShapeError unless the batch is consistent in itself and with what the cache has reserved. */
export function checkBatch(batch: Batch, cache: KvCache, vocab: number): void {
  const nRows = batch.ids.length;
  if (nRows === 0) throw new ShapeError('batch: has no token ids; a run needs at least one');
  if (batch.positions.length !== nRows) {
    throw new ShapeError(`batch: ${nRows} ids and ${batch.positions.length} positions`);
  }
  let row = 0;
  const seen = new Set<KvSequence>();
  for (const { sequence, from, count, source } of batch.segments) {
    if (seen.has(sequence)) throw new ShapeError(`batch: sequence ${sequence.id} has two segments; join them into one`);
    seen.add(sequence);
    if (from !== row || count < 1) throw new ShapeError(`batch: a segment starts at row ${from}, expected ${row}`);
    row += count;
    const first = cache.length(sequence) - count;
    if (batch.isBidirectional && (first !== 0 || cache.window !== null)) {
      throw new ShapeError(
        `batch: rows that see all of their sequence must be all of it, in a cache without a window; ${first} rows came before`,
      );
    }
    if (source !== undefined) checkSource(source, first, batch, cache);
    for (let t = 0; t < count; t++) {
      if (batch.positions[from + t] !== first + t) {
        throw new ShapeError(`batch: row ${from + t} has position ${batch.positions[from + t]}, expected ${first + t}`);
      }
    }
  }
  if (row !== nRows) throw new ShapeError(`batch: segments cover ${row} rows of ${nRows}`);
  for (const id of batch.ids) {
    if (!(id >= 0 && id < vocab)) {
      throw new ShapeError(
        `batch: token id ${id} is outside the vocabulary 0..${vocab - 1}; check the tokenizer or --ids`,
      );
    }
  }
  for (const r of batch.outRows) {
    if (!(r >= 0 && r < nRows)) throw new ShapeError(`batch: asks for logits of row ${r}, it has rows 0..${nRows - 1}`);
  }
}

/**
 * The pieces of a picture that a batch brings along, [T, width].
 * Throws ShapeError when it brings none, or another number of them.
 */
export function patchesOf(batch: Batch, width: number): Float32Array | Float64Array {
  const n = batch.ids.length * width;
  if (batch.patches?.length === n) return batch.patches;
  throw new ShapeError(
    `batch: has ${batch.patches?.length ?? 'no'} numbers of patches, this model reads ${batch.ids.length} rows of ${width}`,
  );
}

type Feed = NodeOf<'input'>['feed'];

/** Ids are rows of a table: how many it has. A graph that reads no ids takes any. */
export function nIds(graph: Graph): number {
  return rowsRead(graph, 'ids') ?? Infinity;
}

/** How many rows the table has that an embed reads by this feed; undefined where none does. */
export function rowsRead(graph: Graph, feed: Feed): number | undefined {
  const isFed = (id: number): boolean => {
    const node = graph.nodes[id]!;
    return node.op === 'input' && node.feed === feed;
  };
  const reader = graph.nodes.find((node) => node.op === 'embed' && isFed(node.inputs[0]!));
  return reader === undefined ? undefined : (graph.nodes[reader.inputs[1]!]!.shape[0] as number);
}

/** What a batch brings for a graph's input. Throws ShapeError for types that are missing, or that the graph's table does not have. */
export function feedOfBatch(batch: Batch, feed: Feed, graph: Graph): Int32Array {
  if (feed !== 'types') return batch[feed];
  const { types } = batch;
  if (types?.length !== batch.ids.length) {
    throw new ShapeError(`batch: ${batch.ids.length} ids and ${types?.length ?? 'no'} types, which this model reads`);
  }
  const nTypes = rowsRead(graph, 'types') ?? Infinity;
  const other = types.find((type) => !(type >= 0 && type < nTypes));
  if (other !== undefined) throw new ShapeError(`batch: type ${other} is outside 0..${nTypes - 1}`);
  return types;
}

/**
 * Throws UnsupportedError where a cache cannot serve a graph: rows that are to be rounded are whole blocks; a layer's own window counts positions, and rows that are kept by importance
 * do not lie by position; a bias of distances takes a row's number for its position, which it is not behind rows that are dropped.
 */
export function checkCacheForm(graph: Graph, options: KvOptions): void {
  const type = lossesIn(options)?.type ?? 'f32';
  if (type !== 'f32') checkCoded(type, graph.kv.headDim);
  const drops =
    options.kind === 'evict' ? 'kv-evict' : 'window' in options && options.window !== undefined ? 'window' : null;
  if (drops === null) return;
  if (graph.nodes.some(({ op }) => op === 'position_bias')) {
    throw new UnsupportedError(
      `${drops} with a model whose scores have a bias of distances (ALiBi): keep all rows, leave it out`,
    );
  }
  if (drops === 'kv-evict' && graph.nodes.some((node) => 'window' in node && node.window !== undefined)) {
    throw new UnsupportedError(
      'kv-evict with a model whose layers have windows of their own: use --window, or all rows',
    );
  }
}

/** What an attention op says of what its rows see; nothing for any other op. */
export function limitsOf(node: Node): Windowed {
  return 'inputs' in node && ('window' in node || 'sees' in node) ? (node as Windowed) : {};
}

/** At least one: attention to no rows is no sum. before: rows of the sequence before the segment. */
function checkSource(source: number, before: number, batch: Batch, cache: KvCache): void {
  if (!Number.isInteger(source) || source < 1 || source > before) {
    throw new ShapeError(`batch: ${source} source rows, expected 1 to ${before}, the rows before the segment`);
  }
  if (cache.window !== null || batch.isBidirectional) {
    throw new ShapeError('batch: source rows need a cache without a window, and rows that see what is before them');
  }
}

/** What each row of a segment sees of its sequence's rows in the cache. limits: of the attention op. */
export function visibleTo(batch: Batch, segment: Segment, cache: KvCache, { window, sees }: Windowed): Visible {
  if (batch.isBidirectional) return visibleAround(segment.count, window);
  const { source } = segment;
  if (sees === 'source') {
    if (source === undefined) {
      throw new ShapeError('batch: a segment does not say how many source rows it has, which this model attends to');
    }
    return allUpTo(new Int32Array(segment.count).fill(source));
  }
  const positions = batch.positions.subarray(segment.from, segment.from + segment.count);
  const visible = visibleAt(positions, cache.window, cache.dropped(segment.sequence), window);
  return source === undefined
    ? visible
    : { ...visible, starts: visible.starts.map((start) => Math.max(start, source)) };
}
