import { DEFAULT_PREFILL_CHUNK } from '../../src/engine/options.ts';
import type { Executor } from '../../src/exec/executor.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { type Contender, inTurns, rates, ratios } from './measure.ts';
import { createRunner } from './model_runner.ts';

/** Forms of the cache beside contiguous: what pages cost a decode step, and what finding them again saves. */
export const KV: Section = { name: 'kv', run: measureKv };

const PROMPT = 1000;
/** Tokens of one sample: a page of 16 is filled in it, wherever it begins. */
const DECODED = 16;
const NEIGHBOURS = 8;
/** Caches of each form that are compared to a few percent: where a cache lies in memory alone made 3 % either way. */
const PLACES = 4;
const WINDOW = 256;
const MAX_SEQ = 1280;
/** A sequence that is not cut back has room for the tokens of all turns. */
const UNCUT_MAX_SEQ = 8192;
const FIRST_ID = 300;

const PAGED_AT_LEAST = 0.97;
const HIT_AT_LEAST = 10;

async function measureKv({ quick }: Pace): Promise<Table> {
  const { executor } = await createRunner({ shape: '135m', dtype: 'q4_0', tier: 'auto' });
  const prompt = Array.from({ length: PROMPT }, (_, t) => FIRST_ID + (t % 1000));
  const decoding = { turns: quick ? 7 : 31, sampleMs: 0, warmUpMs: 500 };

  const places = Array.from({ length: PLACES }, () => ({
    contiguous: decodeOf(executor, 'contiguous', { kind: 'contiguous' }, prompt, 1),
    paged: decodeOf(executor, 'paged', { kind: 'paged' }, prompt, 1),
  }));
  const decode = await inTurns(
    [
      oneAfterAnother(places.map(({ contiguous }) => contiguous)),
      oneAfterAnother(places.map(({ paged }) => paged)),
      decodeOf(executor, 'side by side', { kind: 'paged' }, prompt, NEIGHBOURS),
      decodeOf(executor, 'q8_0', { kind: 'lossy', type: 'q8_0' }, prompt, 1),
      decodeOf(executor, 'window', { kind: 'lossy', window: WINDOW }, prompt, 1),
      decodeOf(executor, 'evict', { kind: 'evict', by: 'importance', budget: WINDOW }, prompt, 1),
    ],
    decoding,
  );
  const first = await inTurns([miss(executor, prompt), hit(executor, prompt)], {
    turns: quick ? 3 : 9,
    sampleMs: 0,
    warmUpMs: 0,
  });
  executor.dispose();

  const tokens = (name: string): number[] => rates(decode[name]!, DECODED);
  const figures: Figure[] = [
    figure(`decode after ${PROMPT}, contiguous`, 'tokens/s', tokens('contiguous')),
    figure(`decode after ${PROMPT}, paged`, 'tokens/s', tokens('paged')),
    figure('decode, paged / contiguous', 'x', ratios(decode['contiguous']!, decode['paged']!), {
      atLeast: PAGED_AT_LEAST,
    }),
    figure(
      `decode, paged, grown beside ${NEIGHBOURS - 1} others / contiguous`,
      'x',
      ratios(decode['contiguous']!, decode['side by side']!),
    ),
    figure('decode, rows in q8_0 / contiguous', 'x', ratios(decode['contiguous']!, decode['q8_0']!)),
    figure(`decode, a window of ${WINDOW} / contiguous`, 'x', ratios(decode['contiguous']!, decode['window']!)),
    figure(
      `decode, the ${WINDOW} rows that were attended to most / contiguous`,
      'x',
      ratios(decode['contiguous']!, decode['evict']!),
    ),
    figure(`first token after ${PROMPT}, nothing known`, 'ms', first['miss']!),
    figure(`first token after ${PROMPT}, known but for the end`, 'ms', first['hit']!),
    figure('first token, nothing known / known', 'x', ratios(first['miss']!, first['hit']!), { atLeast: HIT_AT_LEAST }),
  ];
  return {
    title: 'Forms of the KV cache',
    note:
      `Random weights in the shape of SmolLM 135M, q4_0, ${executor.kernels}, one thread; pages of 16 positions. ` +
      `"Grown beside others": ${NEIGHBOURS} sequences took their pages by turns.`,
    figures,
  };
}

/** Runs ids at the end of a sequence, in the engine's chunks; logits of the last one. */
function append(executor: Executor, cache: KvCache, sequence: KvSequence, ids: readonly number[]): void {
  for (let from = 0; from < ids.length; ) {
    const part = ids.slice(from, from + Math.min(DEFAULT_PREFILL_CHUNK, cache.most(sequence)));
    const first = cache.length(sequence);
    cache.reserve(sequence, part.length);
    const batch = {
      ids: Int32Array.from(part),
      positions: Int32Array.from(part, (_, t) => first + t),
      segments: [{ sequence, from: 0, count: part.length }],
      outRows: Int32Array.from(from + part.length === ids.length ? [part.length - 1] : []),
    };
    executor.run(batch, cache);
    from += part.length;
  }
}

/**
 * DECODED tokens after the prompt, forgotten again, but where sums of attention stay: such a sequence goes on, at the same cost, since its
 * rows are always as many. With more sequences than one, all of them take pages by turns. */
function decodeOf(
  executor: Executor,
  name: string,
  form: KvOptions,
  prompt: readonly number[],
  nSequences: number,
): Contender {
  const cache = executor.createCache(form.kind === 'evict' ? UNCUT_MAX_SEQ : MAX_SEQ, form);
  const sequences = Array.from({ length: nSequences }, () => cache.create());
  if (nSequences > 1) {
    for (let t = 0; t < PROMPT; t++) for (const sequence of sequences) cache.reserve(sequence, 1);
  } else append(executor, cache, sequences[0]!, prompt);
  const sequence = sequences[Math.floor(nSequences / 2)]!;
  // Rows that were only reserved may hold anything: zeros cost what numbers cost.
  if (nSequences > 1) fillWithZeros(cache, sequence);
  return {
    name,
    run() {
      for (let t = 0; t < DECODED; t++) append(executor, cache, sequence, [FIRST_ID + t]);
      if (form.kind !== 'evict') cache.truncate(sequence, PROMPT);
    },
  };
}

/** The same in several places, one for each run. */
function oneAfterAnother(places: readonly Contender[]): Contender {
  let n = 0;
  return { name: places[0]!.name, run: () => places[n++ % places.length]!.run() };
}

function fillWithZeros(cache: KvCache, sequence: KvSequence): void {
  for (let layer = 0; layer < cache.layout.nLayers; layer++) {
    cache.writeK(sequence, layer, 0, cache.readK(sequence, layer).fill(0));
    cache.writeV(sequence, layer, 0, cache.readV(sequence, layer).fill(0));
  }
}

/** A prompt under a salt that nobody has used. */
function miss(executor: Executor, prompt: readonly number[]): Contender {
  const cache = executor.createCache(MAX_SEQ, { kind: 'prefix' });
  let n = 0;
  return { name: 'miss', run: () => firstToken(executor, cache, prompt, `${n++}`) };
}

function hit(executor: Executor, prompt: readonly number[]): Contender {
  const cache = executor.createCache(MAX_SEQ, { kind: 'prefix' });
  firstToken(executor, cache, prompt, '');
  return { name: 'hit', run: () => firstToken(executor, cache, prompt, '') };
}

/** What a session does with a prompt. */
function firstToken(executor: Executor, cache: KvCache, prompt: readonly number[], salt: string): void {
  const sequence = cache.create();
  const n = cache.adoptPrefix!(sequence, prompt, { salt });
  append(executor, cache, sequence, prompt.slice(n));
  cache.publish!(sequence, prompt, { salt });
  cache.release(sequence);
}
