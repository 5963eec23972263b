import { ConfigError } from '../core/errors.ts';
import type { Host } from '../core/host.ts';
import type { Executor, Tier } from '../exec/executor.ts';
import type { KvCache } from '../kvcache/cache.ts';
import type { EncoderOutput } from '../models/encoder.ts';
import { wholePages } from './encoder_runs.ts';
import { createExecutor } from './load_model.ts';
import type { ModelSource } from './model_source.ts';
import { type OpenedEncoder, openEncoder } from './open_encoder.ts';
import { checkLoadOptions, type LoadOptions } from './options.ts';

export type EncoderLoadOptions = Pick<
  LoadOptions,
  | 'executor'
  | 'kernels'
  | 'activations'
  | 'sums'
  | 'threads'
  | 'maxSeq'
  | 'disabledPasses'
  | 'onProgress'
  | 'onNotice'
  | 'onMemoryNeed'
  | 'signal'
>;

export interface EncoderInfo {
  readonly name: string;
  readonly architecture: string;
  readonly tier: Tier;
  /** "wasm relaxed" */
  readonly kernels: string;
  readonly threads: number;
  readonly dim: number;
  /** Tokens that a text may have here, and that the model was made for. */
  readonly maxSeq: number;
  readonly maxContext: number;
}

/** An encoder with its weights. */
export interface LoadedEncoder extends Omit<OpenedEncoder, 'close' | 'name'> {
  readonly info: EncoderInfo;
  readonly executor: Executor;
  readonly cache: KvCache;
  /** Throws ConfigError after dispose. */
  checkAlive(): void;
  dispose(): Promise<void>;
}

/** Opens an encoder and loads its weights. Throws the six errors of core/errors.ts; nothing stays open then. */
export async function loadEncoder(
  source: ModelSource,
  host: Host,
  options: EncoderLoadOptions,
  output: EncoderOutput,
): Promise<LoadedEncoder> {
  const { close, name, ...opened } = await openEncoder(source);
  try {
    const { description } = opened;
    if (output === 'scores') checkHead(name, description.nScores);
    const { maxContext, dim } = description.config;
    const first = checkLoadOptions(options, maxContext);
    // Keys and values of one run: texts share a room for as many positions as one may have.
    const kv = { kind: 'paged', budget: wholePages(first.maxSeq) } as const;
    const checked = { ...first, prefillChunk: first.maxSeq, kv };
    const parts = {
      tensors: description.tensors,
      buildGraph: (activations: 'q8' | 'f32') => description.buildGraph(description.tensors, activations, output),
    };
    const executor = await createExecutor(parts, host, checked);
    const cache = executor.createCache(checked.maxSeq, kv);
    let isDisposed = false;
    return {
      ...opened,
      executor,
      cache,
      info: {
        name,
        architecture: description.architecture,
        tier: executor.tier,
        kernels: executor.kernels,
        threads: executor.threads,
        dim,
        maxSeq: checked.maxSeq,
        maxContext,
      },
      checkAlive() {
        if (isDisposed) throw new ConfigError(`model ${name}: it is disposed; load it again`);
      },
      async dispose() {
        if (isDisposed) return;
        isDisposed = true;
        cache.dispose?.();
        executor.dispose();
        await close();
      },
    };
  } catch (e) {
    await close();
    throw e;
  }
}

/** A reranker gives one number for a pair. */
function checkHead(name: string, nScores: number): void {
  if (nScores === 1) return;
  throw new ConfigError(
    nScores === 0
      ? `${name}: has no classification head, so it does not score pairs of texts; "embed" makes vectors with it`
      : `${name}: its head tells ${nScores} classes apart; a reranker has one score`,
  );
}
