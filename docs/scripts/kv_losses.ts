import { existsSync, readFileSync } from 'node:fs';
import { exp } from '../../src/core/math.ts';
import { loadModel, type Model } from '../../src/index.node.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { logprobsOf } from '../../src/sample/logprobs.ts';
import { grouped, table } from './number_text.ts';
import type { ModelPath } from './numerics.ts';

/** What a cache that forgets or rounds costs: the distributions after every token of a text, beside those over all rows. */

type Form = Extract<KvOptions, { kind: 'lossy' | 'evict' }>;

const lossy = (o: Omit<Extract<Form, { kind: 'lossy' }>, 'kind'>): Form => ({ kind: 'lossy', ...o });
const evict = (budget: number): Form => ({ kind: 'evict', by: 'importance', budget });

const FORMS: readonly Form[] = [
  lossy({ window: 256 }),
  lossy({ window: 128 }),
  lossy({ window: 64 }),
  lossy({ window: 32 }),
  lossy({ window: 16 }),
  ...[260, 132, 68, 36].map(evict),
  lossy({ window: 64, sinks: 0 }),
  lossy({ window: 16, sinks: 0 }),
  lossy({ type: 'q8_0' }),
  lossy({ type: 'q4_0' }),
  lossy({ type: 'q4_0', recent: 128 }),
  lossy({ type: 'q8_0', window: 64 }),
];

/** Rows of other models have fewer head dims than a block has: windows alone. */
const WINDOWS: readonly Form[] = [
  ...[256, 64, 16].map((window) => lossy({ window })),
  lossy({ window: 16, sinks: 0 }),
  ...[260, 68, 36].map(evict),
];
const ROUNDED: readonly Form[] = [lossy({ type: 'q8_0' }), lossy({ type: 'q4_0' })];

const TOKENS_AT_ONCE = 64;
const BAR_WIDTH = 24;

/** The embedded model on stories of its own, and where they are there others on texts of people. */
export async function kvLossRegions(modelPath?: ModelPath): Promise<[name: string, text: string][]> {
  await using embedded = await loadModel('embedded');
  const own = await ownText(embedded);
  const regions: [string, string][] = [['losses', lossTable(embedded, own)]];

  const path = (...parts: string[]): string => modelPath?.(...parts) ?? '';
  const texts = ['tinyshakespeare.txt', 'wikitext-2-test.txt'].map((file) => path('corpora', file));
  const others = [path('stories260k', 'stories260K-f32.gguf'), path('tinystories-656k', 'tinystories-656k-f32.gguf')];
  if (![...texts, ...others].every((file) => existsSync(file))) return regions;
  const rows = texts.flatMap((file) => otherRows('embedded', embedded, file, [...WINDOWS, ...ROUNDED]));
  for (const file of others) {
    await using model = await loadModel(file);
    rows.push(...otherRows(nameOf(file), model, texts[0]!, WINDOWS));
  }
  regions.push(['losses on other texts', table(['model', 'text', 'form', ...COSTS], rows)]);
  return regions;
}

/**
 * Stories that the model tells at temperature 1, one behind the other in one session, so that each token was drawn from what
 * the model says over all rows: as many ids as its context has.
 */
export async function ownText(model: Model): Promise<number[]> {
  using session = model.createSession();
  const { maxContext } = model.info;
  const ids: number[] = [];
  for (let seed = 1; ids.length < maxContext; seed++) {
    ids.push(...model.promptIds('Once'));
    const missing = ids.slice(session.ids.length); // the token that ended the story before, and the new beginning
    const maxTokens = maxContext - ids.length;
    if (maxTokens <= 0) break;
    for await (const { id } of model.generateIn(session, missing, { seed, temperature: 1, maxTokens })) ids.push(id);
  }
  return ids.slice(0, maxContext);
}

export interface Run {
  /** Natural logarithms, [vocab] for each position. */
  readonly logprobs: readonly Float64Array[];
  readonly cacheBytes: number;
}

export function runOver(model: Model, ids: readonly number[], form: KvOptions): Run {
  const cache = model.executor.createCache(ids.length, form);
  const sequence = cache.create();
  const logprobs: Float64Array[] = [];
  let cacheBytes = 0;
  for (let from = 0; from < ids.length; ) {
    const part = ids.slice(from, from + Math.min(TOKENS_AT_ONCE, cache.most(sequence)));
    cache.reserve(sequence, part.length);
    const rows = Int32Array.from(part, (_, t) => t);
    const { data, vocab } = model.executor.run(
      {
        ids: Int32Array.from(part),
        positions: rows.map((t) => from + t),
        segments: [{ sequence, from: 0, count: part.length }],
        outRows: rows,
      },
      cache,
    );
    for (const t of rows) logprobs.push(allLogprobs(Float64Array.from(data.subarray(t * vocab, (t + 1) * vocab))));
    cacheBytes = Math.max(cacheBytes, cache.bytesInUse);
    from += part.length;
  }
  cache.release(sequence);
  return { logprobs, cacheBytes };
}

/** logit - log(sum exp) of every id. */
function allLogprobs(logits: Float64Array): Float64Array {
  const { logprob } = logprobsOf(logits, 0, 0);
  const shift = logits[0]! - logprob;
  return logits.map((v) => v - shift);
}

export interface Cost {
  /** Mean over the positions of sum p log(p / q), in nats: p over all rows, q over what is left of them. */
  readonly kl: number;
  /** Share of positions whose likeliest token is the same. */
  readonly sameTop: number;
  /** e to the mean of -log q(the text's next token). */
  readonly perplexity: number;
}

export function costOf(full: Run, lossy: Run, ids: readonly number[]): Cost {
  let kl = 0;
  let nSame = 0;
  let surprise = 0;
  const n = ids.length - 1; // nothing follows the last one
  for (let t = 0; t < n; t++) {
    const p = full.logprobs[t]!;
    const q = lossy.logprobs[t]!;
    for (let i = 0; i < p.length; i++) kl += exp(p[i]!) * (p[i]! - q[i]!);
    if (largestAt(p) === largestAt(q)) nSame++;
    surprise -= q[ids[t + 1]!]!;
  }
  return { kl: kl / n, sameTop: nSame / n, perplexity: exp(surprise / n) };
}

function largestAt(x: Float64Array): number {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i]! > x[best]!) best = i;
  return best;
}

export const COSTS = ['KL, nats', 'same top token', 'perplexity'] as const;

export function costCells({ kl, sameTop, perplexity }: Cost): string[] {
  return [kl.toFixed(4), `${(100 * sameTop).toFixed(1)} %`, perplexity.toFixed(2)];
}

/** One line for each form, the KL also as a bar. */
function lossTable(model: Model, ids: readonly number[]): string {
  const full = runOver(model, ids, { kind: 'contiguous' });
  const all = [
    { name: 'all rows, f32', run: full },
    ...FORMS.map((form) => ({ name: showForm(form), run: runOver(model, ids, form) })),
  ].map((each) => ({ ...each, cost: costOf(full, each.run, ids) }));
  const most = Math.max(...all.map(({ cost }) => cost.kl));
  const rows = all.map(({ name, run, cost }) => {
    const bar = '#'.repeat(Math.round((BAR_WIDTH * cost.kl) / most));
    return [name, grouped(run.cacheBytes), ...costCells(cost), bar];
  });
  return table(['form', 'bytes at most', ...COSTS, 'KL'], rows);
}

function otherRows(name: string, model: Model, file: string, forms: readonly Form[]): string[][] {
  const text = readFileSync(file, 'utf8').slice(0, 4 * model.info.maxContext);
  const ids = model.tokenize(text).slice(0, model.info.maxContext);
  const full = runOver(model, ids, { kind: 'contiguous' });
  const row = (form: string, run: Run) => [name, nameOf(file), form, ...costCells(costOf(full, run, ids))];
  return [row('all rows, f32', full), ...forms.map((form) => row(showForm(form), runOver(model, ids, form)))];
}

function nameOf(file: string): string {
  return file
    .split('/')
    .at(-1)!
    .replace(/\.(txt|gguf)$/, '');
}

function showForm(form: Form): string {
  if (form.kind === 'evict') return `importance, budget ${form.budget}`;
  const { window, sinks, type, recent } = form;
  const parts: string[] = [];
  if (window !== undefined) parts.push(`window ${window}${sinks === undefined ? '' : `, ${sinks} sinks`}`);
  if (type !== undefined) parts.push(recent === undefined ? type : `${type} from age ${recent} on`);
  return parts.join(', ');
}
