import { CapacityError, ConfigError, KernelError, UnsupportedError } from '../core/errors.ts';
import { allFinite } from '../core/finite.ts';
import type { Host } from '../core/host.ts';
import type { Executor, Logits } from '../exec/executor.ts';
import type { KvCache, KvSequence } from '../kvcache/cache.ts';
import { CONTIGUOUS } from '../kvcache/options.ts';
import { buildT5Decoder, buildT5Encoder } from '../models/t5.ts';
import type { T5Config } from '../models/t5_config.ts';
import type { T5Tensors } from '../models/t5_tensors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type GenerateOptions, generate, type Piece, type Summary } from './generate.ts';
import { lazyForms } from './lazy_forms.ts';
import { createExecutor } from './load_model.ts';
import type { ModelInfo } from './model.ts';
import type { ModelSource } from './model_source.ts';
import { openEncoderDecoder } from './open_encoder_decoder.ts';
import { type CheckedLoadOptions, checkLoadOptions, type LoadOptions } from './options.ts';
import { checkIds, joinLogits } from './session.ts';

/** A text, whose end token the tokenizer adds, or exact ids. */
export type SourceText = string | { readonly ids: readonly number[] };

/** A text that was encoded, and the decoder's part of the answer so far. */
export interface EncodedSource {
  /** What the decoder was given: its start token first. */
  readonly ids: readonly number[];
  /**
   * Runs ids behind those; the logits of the last one, or of all. Throws CapacityError when they do not fit, ShapeError for none or
   * one outside the vocabulary, KernelError when logits are not finite, the signal's reason. After a throw it is as before.
   */
  append(
    ids: readonly number[],
    options?: { logits?: 'last' | 'all'; signal?: AbortSignal | undefined },
  ): Promise<Logits>;
  dispose(): void;
}

/** A loaded encoder-decoder (T5, Flan-T5): reads a whole text, then writes another one. */
export interface EncoderDecoder {
  /** maxSeq: tokens of a text to read, and of one to write. Bytes are those of both executors. */
  readonly info: ModelInfo;
  readonly config: T5Config;
  readonly tokenizer: Tokenizer;
  /** Their weights are apart; the embedding is in both. */
  readonly encoder: Executor;
  readonly decoder: Executor;
  sourceIds(text: SourceText): number[];
  /** Runs the encoder once and keeps what the decoder attends to. Throws CapacityError for a text that is too long. */
  encode(text: SourceText): EncodedSource;
  /** As Model.generate. Throws UnsupportedError for options that are about decoders alone. */
  generate(text: SourceText, options?: GenerateOptions): AsyncGenerator<Piece, Summary, void>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Rows of a sequence are those of two texts; distances have no limit of their own. */
const MOST_POSITIONS = 1 << 20;

/**
 * Loads a T5, mT5 or UMT5: a GGUF file, or a Hugging Face folder (config.json, tokenizer.json, safetensors). Encoder and decoder are two
 * executors, each with its own weights; onProgress and onMemoryNeed are called for one, then for the other.
 * Throws the six errors of core/errors.ts; nothing stays open then.
 */
export async function loadEncoderDecoder(
  source: ModelSource,
  host: Host,
  options: LoadOptions = {},
): Promise<EncoderDecoder> {
  const start = host.now();
  const opened = await openEncoderDecoder(source);
  const loaded: Executor[] = [];
  try {
    refuseLoadOptions(options);
    const { name, config, tensors, tokenizer } = opened;
    const maxSeq = options.maxSeq ?? config.trainedLength;
    // The encoder's rows see each other: a text is one run.
    const forEncoder = checkLoadOptions({ ...options, maxSeq, prefillChunk: maxSeq, kv: CONTIGUOUS }, MOST_POSITIONS);
    const forDecoder = checkLoadOptions({ ...options, maxSeq: 2 * maxSeq }, 2 * MOST_POSITIONS);
    const encoder = await createExecutor(
      { tensors: tensors.encoder, buildGraph: (activations) => buildT5Encoder(config, tensors.encoder, activations) },
      host,
      forEncoder,
    );
    loaded.push(encoder);
    const decoder = await createExecutor(
      { tensors: tensors.decoder, buildGraph: (activations) => buildT5Decoder(config, tensors.decoder, activations) },
      host,
      forDecoder,
    );
    loaded.push(decoder);
    const { crossParts } = tensors;
    const parts = { name, config, crossParts, tokenizer, encoder, decoder, host, maxSeq, options: forDecoder };
    return encoderDecoderOf(parts, host.now() - start, opened.close);
  } catch (e) {
    for (const executor of loaded) executor.dispose();
    await opened.close();
    throw e;
  }
}

interface Parts extends Pick<T5Tensors, 'crossParts'> {
  readonly name: string;
  readonly config: T5Config;
  readonly tokenizer: Tokenizer;
  readonly encoder: Executor;
  readonly decoder: Executor;
  readonly host: Host;
  readonly maxSeq: number;
  readonly options: CheckedLoadOptions;
}

function encoderDecoderOf(parts: Parts, loadMs: number, close: () => Promise<void>): EncoderDecoder {
  const { name, config, tokenizer, encoder, decoder, host, maxSeq, options } = parts;
  const encoderCache = encoder.createCache(maxSeq);
  const cache = decoder.createCache(options.maxSeq, options.kv);
  const forms = lazyForms(tokenizer);
  let isDisposed = false;

  const model: EncoderDecoder = {
    get info() {
      return {
        name,
        architecture: 't5',
        tier: decoder.tier,
        kernels: decoder.kernels,
        threads: decoder.threads,
        vocab: config.vocab,
        maxSeq,
        maxContext: MOST_POSITIONS,
        weightBytes: encoder.memory.weightBytes + decoder.memory.weightBytes,
        scratchBytes: encoder.memory.scratchBytes + decoder.memory.scratchBytes,
        cacheBytes: encoderCache.bytesInUse + cache.bytesInUse,
        loadMs,
      };
    },
    config,
    tokenizer,
    encoder,
    decoder,
    sourceIds(text) {
      const ids = typeof text === 'string' ? tokenizer.encode(text) : [...text.ids];
      if (ids.length === 0) throw new ConfigError('the text is empty; an encoder-decoder needs one to read');
      if (ids.length > maxSeq) {
        throw new CapacityError(`the text has ${ids.length} tokens, there is room for ${maxSeq}; raise --max-seq`);
      }
      return ids;
    },
    encode(text) {
      if (isDisposed) throw new ConfigError(`model ${name}: it is disposed; load it again`);
      const ids = model.sourceIds(text);
      const rows = encodedRows(parts, encoderCache, ids);
      return decoding(parts, cache, keptRows(parts, cache, rows, ids.length), ids.length);
    },
    async *generate(text, generateOptions = {}) {
      refuseGenerateOptions(generateOptions);
      const ids = model.sourceIds(text);
      const start = host.now();
      const session = model.encode({ ids });
      const encodeMs = host.now() - start;
      try {
        const summary = yield* generate({ session, tokenizer, forms, host, maxSeq }, [config.startId], generateOptions);
        return { ...summary, promptTokens: ids.length, promptMs: encodeMs + summary.promptMs };
      } finally {
        session.dispose();
      }
    },
    async dispose() {
      if (isDisposed) return;
      isDisposed = true;
      for (const executor of [encoder, decoder]) executor.dispose();
      await close();
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  };
  return model;
}

type Floats = Float32Array | Float64Array;

/** [T, nDecoderLayers * 2 * nHeads * headDim]: keys and values of the text's rows in every decoder layer, as crossParts says. */
function encodedRows({ encoder, name }: Parts, cache: KvCache, ids: readonly number[]): Floats {
  const sequence = cache.create();
  try {
    cache.reserve(sequence, ids.length);
    const rows = Int32Array.from(ids, (_, t) => t);
    const segments = [{ sequence, from: 0, count: ids.length }];
    const batch = { ids: Int32Array.from(ids), positions: rows, outRows: rows, segments, isBidirectional: true };
    return finite(encoder.run(batch, cache), name).data;
  } finally {
    cache.release(sequence);
  }
}

/** A sequence of the decoder's cache whose first rows are those of the text: what cross attention sees. */
function keptRows(
  { config: { nDecoderLayers, nHeads, headDim }, crossParts }: Parts,
  cache: KvCache,
  rows: Floats,
  count: number,
): KvSequence {
  const width = nHeads * headDim;
  const sequence = cache.create();
  try {
    cache.reserve(sequence, count);
    const columns = (which: number): Floats => {
      const part = rows.slice(0, count * width);
      for (let t = 0; t < count; t++) {
        const at = (t * 2 * nDecoderLayers + crossParts[which]!) * width;
        part.set(rows.subarray(at, at + width), t * width);
      }
      return part;
    };
    for (let layer = 0; layer < nDecoderLayers; layer++) {
      cache.writeK(sequence, layer, 0, columns(2 * layer));
      cache.writeV(sequence, layer, 0, columns(2 * layer + 1));
    }
    return sequence;
  } catch (e) {
    cache.release(sequence);
    throw e;
  }
}

function decoding(
  { decoder, name, options, maxSeq }: Parts,
  cache: KvCache,
  sequence: KvSequence,
  source: number,
): EncodedSource {
  const ids: number[] = [];
  let isDisposed = false;
  return {
    ids,
    async append(newIds, { logits: which = 'last', signal } = {}) {
      if (isDisposed) throw new ConfigError('the encoded text is disposed; encode it again');
      if (ids.length + newIds.length > maxSeq) {
        throw new CapacityError(
          `the answer has room for ${maxSeq} tokens, ${ids.length + newIds.length} are asked for`,
        );
      }
      checkIds(newIds);
      const before = ids.length;
      try {
        const chunks: Logits[] = [];
        for (let from = 0; from < newIds.length; ) {
          signal?.throwIfAborted();
          const chunk = newIds.slice(from, from + options.prefillChunk);
          from += chunk.length;
          const first = cache.length(sequence);
          cache.reserve(sequence, chunk.length);
          const isLast = from === newIds.length;
          const outRows = which === 'all' ? chunk.map((_, t) => t) : isLast ? [chunk.length - 1] : [];
          const result = decoder.run(
            {
              ids: Int32Array.from(chunk),
              positions: Int32Array.from(chunk, (_, t) => first + t),
              segments: [{ sequence, from: 0, count: chunk.length, source }],
              outRows: Int32Array.from(outRows),
            },
            cache,
          );
          if (outRows.length > 0) chunks.push(finite(result, name));
        }
        ids.push(...newIds);
        return joinLogits(chunks);
      } catch (e) {
        cache.truncate(sequence, source + before);
        throw e;
      }
    },
    dispose() {
      if (!isDisposed) cache.release(sequence);
      isDisposed = true;
    },
  };
}

function finite(logits: Logits, name: string): Logits {
  if (allFinite(logits.data)) return logits;
  throw new KernelError(`model ${name}: it gives numbers that are not finite; the weights are damaged`);
}

/** Rows that are found again, dropped or rounded are those of one text; here a sequence has rows of two. */
function refuseLoadOptions({ kv = CONTIGUOUS, lora = [], graph }: LoadOptions): void {
  if (kv.kind !== 'contiguous' && kv.kind !== 'paged') {
    throw new UnsupportedError(
      `an encoder-decoder keeps its rows in a cache that is contiguous or paged, not ${kv.kind}`,
    );
  }
  if (lora.length > 0) throw new UnsupportedError('an encoder-decoder is run without adapters (lora)');
  if (graph !== undefined) throw new UnsupportedError('an encoder-decoder has two graphs; leave out load-graph');
}

function refuseGenerateOptions({ speculate, beams, overflow, reasoning }: GenerateOptions): void {
  const asked = { speculate, beams, overflow, reasoning: reasoning || undefined };
  const name = Object.entries(asked).find(([, value]) => value !== undefined)?.[0];
  if (name !== undefined) throw new UnsupportedError(`an encoder-decoder generates without ${name}; leave it out`);
}
