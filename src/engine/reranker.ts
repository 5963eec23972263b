import type { Host } from '../core/host.ts';
import type { Executor } from '../exec/executor.ts';
import { pairEncoder, plainIds } from '../text/pairs.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkLength, checkText, type EncodeRunOptions, encoderRuns } from './encoder_runs.ts';
import { type EncoderInfo, type EncoderLoadOptions, loadEncoder } from './load_encoder.ts';
import type { ModelSource } from './model_source.ts';

/** A document's place in the list that was given, and its score: the head's number as it is, higher is nearer. */
export interface Ranked {
  readonly index: number;
  readonly score: number;
}

/** A loaded cross-encoder: it reads a query and a document together and gives one score. */
export interface Reranker {
  readonly info: EncoderInfo;
  readonly tokenizer: Tokenizer;
  readonly executor: Executor;
  /**
   * Every document by falling score, equal ones in their order.
   * Throws ConfigError for an empty text, CapacityError for a pair that is too long.
   */
  rank(query: string, documents: readonly string[], options?: EncodeRunOptions): Promise<Ranked[]>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads an encoder with a classification head of one score. Throws ConfigError for one without, and as loadEmbedder does.
 * Source: Nogueira & Cho 2019, "Passage Re-ranking with BERT", section 3.
 */
export async function loadReranker(
  source: ModelSource,
  host: Host,
  options: EncoderLoadOptions = {},
): Promise<Reranker> {
  const loaded = await loadEncoder(source, host, options, 'scores');
  const { info, executor, tokenizer, cache } = loaded;
  const encodePair = pairEncoder(loaded.vocabulary, tokenizer);
  return {
    info,
    tokenizer,
    executor,
    async rank(query, documents, run = {}) {
      loaded.checkAlive();
      checkText(query, 'the query');
      const asked = plainIds(tokenizer, query);
      const pairs = documents.map((document, i) => {
        checkText(document, `document ${i + 1}`);
        const pair = encodePair(asked, plainIds(tokenizer, document));
        checkLength(pair.ids.length, `the query with document ${i + 1}`, info.maxSeq, info.maxContext);
        return pair;
      });
      const ranked: Ranked[] = [];
      for await (const [score] of encoderRuns({ executor, cache, host, name: info.name }, pairs, () => [0], run)) {
        ranked.push({ index: ranked.length, score: score! });
      }
      return ranked.sort((a, b) => b.score - a.score || a.index - b.index);
    },
    dispose: loaded.dispose,
    [Symbol.asyncDispose]: loaded.dispose,
  };
}
