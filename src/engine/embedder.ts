import { ConfigError } from '../core/errors.ts';
import type { Host } from '../core/host.ts';
import type { Executor } from '../exec/executor.ts';
import { POOLINGS, type Pooling } from '../models/encoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkLength, checkText, type EncodeRunOptions, encoderRuns } from './encoder_runs.ts';
import { type EncoderInfo, type EncoderLoadOptions, loadEncoder } from './load_encoder.ts';
import type { ModelSource } from './model_source.ts';
import { pooledRows, pooledVector } from './pooling.ts';

export interface EmbedOptions extends EncodeRunOptions {
  /** How rows become one vector; what the model's files say unless it is given. */
  readonly pooling?: Pooling | undefined;
  /** Vectors of length 1 (the default): their scalar product is the cosine. */
  readonly normalize?: boolean | undefined;
}

/** Float32Array [dim], from naive64 Float64Array. */
export type Vector = Float32Array | Float64Array;

/** A loaded encoder that makes vectors of texts. */
export interface Embedder {
  readonly info: EncoderInfo & {
    /** What the model's files say; null where they say nothing. */
    readonly pooling: Pooling | null;
  };
  readonly tokenizer: Tokenizer;
  readonly executor: Executor;
  /**
   * One vector for each text, in their order. Many texts share runs, without padding: each has the bits that it has alone.
   * Throws ConfigError for an empty text and where no pooling is named, CapacityError for a text that is too long.
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Vector[]>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads an encoder: a GGUF file, or a Hugging Face folder (config.json, tokenizer.json, safetensors and, of sentence-transformers,
 * modules.json and 1_Pooling). Throws the six errors of core/errors.ts; nothing stays open then.
 */
export async function loadEmbedder(
  source: ModelSource,
  host: Host,
  options: EncoderLoadOptions = {},
): Promise<Embedder> {
  const loaded = await loadEncoder(source, host, options, 'rows');
  const { info, executor, tokenizer, cache, description } = loaded;
  return {
    info: { ...info, pooling: description.pooling },
    tokenizer,
    executor,
    async embed(texts, { pooling = description.pooling ?? undefined, normalize = true, ...run } = {}) {
      loaded.checkAlive();
      const chosen = checkPooling(pooling, info.name);
      const encoded = texts.map((text, i) => {
        const what = `text ${i + 1}`;
        checkText(text, what);
        const ids = tokenizer.encode(text);
        checkLength(ids.length, what, info.maxSeq, info.maxContext);
        return { ids };
      });
      const vectors: Vector[] = [];
      const wanted = (n: number): readonly number[] => pooledRows(chosen, n);
      for await (const rows of encoderRuns({ executor, cache, host, name: info.name }, encoded, wanted, run)) {
        vectors.push(pooledVector(rows, info.dim, normalize));
      }
      return vectors;
    },
    dispose: loaded.dispose,
    [Symbol.asyncDispose]: loaded.dispose,
  };
}

function checkPooling(pooling: Pooling | undefined, name: string): Pooling {
  if (pooling !== undefined && POOLINGS.includes(pooling)) return pooling;
  const said =
    pooling === undefined ? `${name}: its files do not say how rows become a vector` : `pooling is "${pooling}"`;
  throw new ConfigError(`${said}; name a pooling, one of ${POOLINGS.join(', ')}`);
}
