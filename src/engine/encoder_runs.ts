import { CapacityError, ConfigError, KernelError } from '../core/errors.ts';
import { allFinite } from '../core/finite.ts';
import type { Host } from '../core/host.ts';
import type { Batch, Executor, Logits } from '../exec/executor.ts';
import type { KvCache } from '../kvcache/cache.ts';
import { DEFAULT_PAGE_SIZE } from '../kvcache/options.ts';

type Floats = Float32Array | Float64Array;

/** A text as an encoder reads it: ids, its start and end among them, and the types of a pair (all 0 unless said). */
export interface EncodedText {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

export interface EncodeRunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each run, with how many texts are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Runs texts, as many at a time as the cache has room for, and gives each one's wanted rows, [nRows, width], in their order.
 *
 * A run holds texts of any lengths one after the other, each a sequence of its own: none is padded, and a text has the bits that
 * it has alone. The cache is only where a run keeps its keys and values: it is empty before and after, so several calls may share it.
 * Throws KernelError for numbers that are not finite, and the signal's reason.
 */
export async function* encoderRuns(
  parts: { readonly executor: Executor; readonly cache: KvCache; readonly host: Host; readonly name: string },
  texts: readonly EncodedText[],
  wanted: (nTokens: number) => readonly number[],
  { signal, onProgress }: EncodeRunOptions,
): AsyncGenerator<Floats, void, void> {
  const { cache, host, name } = parts;
  const room = wholePages(cache.maxSeq);
  for (let first = 0; first < texts.length; ) {
    signal?.throwIfAborted();
    let last = first;
    for (let taken = 0; last < texts.length; last++) {
      taken += wholePages(texts[last]!.ids.length);
      if (taken > room) break;
    }
    const run = texts.slice(first, last);
    const { data, vocab: width } = runOnce(parts, run, wanted);
    if (!allFinite(data)) {
      throw new KernelError(`model ${name}: it gives numbers that are not finite; the weights are damaged`);
    }
    let at = 0;
    for (const { ids } of run) {
      const n = wanted(ids.length).length * width;
      yield data.subarray(at, at + n);
      at += n;
    }
    first = last;
    onProgress?.(first, texts.length);
    await host.pause();
  }
}

/** Leaves the cache empty before anything is awaited, so that several calls may be under way. */
function runOnce(
  { executor, cache }: { readonly executor: Executor; readonly cache: KvCache },
  texts: readonly EncodedText[],
  wanted: (nTokens: number) => readonly number[],
): Logits {
  const batch = batchOf(cache, texts, wanted);
  try {
    return executor.run(batch, cache);
  } finally {
    for (const { sequence } of batch.segments) cache.release(sequence);
  }
}

/** Texts one after the other, each a sequence of its own whose rows see all of its rows. Reserves the rows. */
function batchOf(cache: KvCache, texts: readonly EncodedText[], wanted: (nTokens: number) => readonly number[]): Batch {
  let from = 0;
  const outRows: number[] = [];
  const segments = texts.map(({ ids }) => {
    const sequence = cache.create();
    cache.reserve(sequence, ids.length);
    const segment = { sequence, from, count: ids.length };
    for (const row of wanted(ids.length)) outRows.push(from + row);
    from += ids.length;
    return segment;
  });
  return {
    ids: Int32Array.from(texts.flatMap(({ ids }) => ids)),
    positions: Int32Array.from(texts.flatMap(({ ids }) => ids.map((_, t) => t))),
    types: Int32Array.from(texts.flatMap(({ ids, types }) => types ?? ids.map(() => 0))),
    segments,
    outRows: Int32Array.from(outRows),
    isBidirectional: true,
  };
}

/** Positions of whole pages. */
export function wholePages(nPositions: number): number {
  return Math.ceil(nPositions / DEFAULT_PAGE_SIZE) * DEFAULT_PAGE_SIZE;
}

/**
 * Throws ConfigError for what is no text or has none, by its place; what: what it is called ("text 3").
 */
export function checkText(text: unknown, what: string): asserts text is string {
  if (typeof text !== 'string') throw new ConfigError(`${what} is ${typeof text}, expected a string`);
  if (text.trim() === '') throw new ConfigError(`${what} is empty; write something into it, or leave it out`);
}

/** Throws CapacityError with both numbers for a text that does not fit: nothing is cut off without a word. */
export function checkLength(nTokens: number, what: string, maxSeq: number, maxContext: number): void {
  if (nTokens <= maxSeq) return;
  const step = nTokens <= maxContext ? `raise max-seq (at most ${maxContext})` : 'shorten it, or split it into parts';
  throw new CapacityError(`${what} has ${nTokens} tokens, the model takes ${maxSeq}; ${step}`);
}
