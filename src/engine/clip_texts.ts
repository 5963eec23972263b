import { CapacityError, ConfigError } from '../core/errors.ts';
import type { Batch } from '../exec/executor.ts';
import type { KvCache } from '../kvcache/cache.ts';
import { DEFAULT_PAGE_SIZE } from '../kvcache/options.ts';
import type { ClipText } from '../models/clip_config.ts';
import { withArticle } from '../sample/labels.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** The way of labels into a text tower: texts, ids, runs. */

/** The text of each label. Throws ConfigError for no label, an empty or a repeated one, and a template without one place for it. */
export function labelTexts(labels: readonly string[], template?: string): string[] {
  if (labels.length === 0) throw new ConfigError('labels is empty; give at least one');
  if (template !== undefined && template.split('{}').length !== 2) {
    throw new ConfigError(`template is ${JSON.stringify(template)}, expected one {} in it, where the label goes`);
  }
  return labels.map((label, i) => {
    if (label.trim() === '') throw new ConfigError(`label ${i + 1} of ${labels.length} is empty; leave it out`);
    if (labels.indexOf(label) !== i)
      throw new ConfigError(`label ${JSON.stringify(label)} is there twice; leave one out`);
    return template === undefined ? `a photo of ${withArticle(label, 'a')}` : template.split('{}').join(label);
  });
}

export interface EncodedText {
  readonly ids: readonly number[];
  /** The row of the end token. */
  readonly endRow: number;
}

/** Throws CapacityError for a text that is too long, ConfigError where the end token is not in it. */
export function encodedText(words: string, tokenizer: Tokenizer, { maxContext, endId }: ClipText): EncodedText {
  const ids = tokenizer.encode(words);
  if (ids.length > maxContext) {
    throw new CapacityError(
      `the text ${JSON.stringify(words.slice(0, 60))} has ${ids.length} tokens, the model takes ${maxContext}; shorten it`,
    );
  }
  const endRow = ids.indexOf(endId === 'largest' ? ids.reduce((a, b) => Math.max(a, b), -1) : endId);
  if (endRow >= 0) return { ids, endRow };
  throw new ConfigError(
    `the text ${JSON.stringify(words.slice(0, 60))} has no token ${endId} (eos_token_id in config.json): tokenizer.json puts another one at its end`,
  );
}

/** Texts one after the other, each a sequence of its own whose rows see those up to their own. Reserves the rows. */
export function textBatch(cache: KvCache, texts: readonly EncodedText[]): Batch {
  let from = 0;
  const outRows: number[] = [];
  const segments = texts.map(({ ids, endRow }) => {
    const sequence = cache.create();
    cache.reserve(sequence, ids.length);
    const segment = { sequence, from, count: ids.length };
    outRows.push(from + endRow);
    from += ids.length;
    return segment;
  });
  return {
    ids: Int32Array.from(texts.flatMap(({ ids }) => ids)),
    positions: Int32Array.from(texts.flatMap(({ ids }) => ids.map((_, t) => t))),
    segments,
    outRows: Int32Array.from(outRows),
  };
}

/** Rows of one run of texts: enough for matrix kernels to run at speed. */
const TEXT_ROWS = 256;

/** Positions that a cache of one run holds. */
export function roomFor(maxContext: number): number {
  return wholePages(Math.max(TEXT_ROWS, maxContext));
}

/** The texts from `first` on that share a run: one at least, and as many as have room together. */
export function nextRun(texts: readonly EncodedText[], first: number): readonly EncodedText[] {
  let last = first;
  for (let taken = 0; last < texts.length; last++) {
    taken += wholePages(texts[last]!.ids.length);
    if (last > first && taken > TEXT_ROWS) break;
  }
  return texts.slice(first, last);
}

/** Positions of whole pages. */
function wholePages(nPositions: number): number {
  return Math.ceil(nPositions / DEFAULT_PAGE_SIZE) * DEFAULT_PAGE_SIZE;
}
