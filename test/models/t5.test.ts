import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.ts';
import { type EncoderDecoder, loadEncoderDecoder } from '../../src/engine/encoder_decoder.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import type { Batch, Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { graphFromJson, graphToJson } from '../../src/graph/graph_json.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { verify } from '../../src/graph/verify.ts';
import { openHfFolder } from '../../src/load/hf_folder.ts';
import { buildT5Decoder, buildT5Encoder } from '../../src/models/t5.ts';
import { t5ConfigFromHf } from '../../src/models/t5_config.ts';
import { bucketOf, t5Tensors } from '../../src/models/t5_tensors.ts';
import { folderOf } from '../load/sources.ts';
import { BUILDS, executorOfGraph, HOST } from '../support/executors.ts';
import { ROOT } from '../support/fixtures.ts';

/** What test/golden/t5.py wrote. */
interface Golden {
  readonly cases: readonly {
    readonly name: string;
    readonly texts: readonly {
      readonly text: string;
      readonly source: readonly number[];
      readonly rows: readonly number[];
      readonly ids: readonly number[];
      readonly logits: readonly number[];
    }[];
  }[];
  readonly buckets: Readonly<Record<'encoder' | 'decoder', readonly number[]>>;
}

const FOLDER = join(ROOT, 'test/goldens/t5');
const GOLDEN = JSON.parse(readFileSync(join(FOLDER, 'golden.json'), 'utf8')) as Golden;
/** The script stored the logits of every so-many-th row. */
const STORED_EVERY = 6;

const filesOf = (name: string): Record<string, Uint8Array> =>
  Object.fromEntries(
    ['config.json', 'tokenizer.json', 'model.safetensors'].map((file) => [
      file,
      new Uint8Array(readFileSync(join(FOLDER, name, file))),
    ]),
  );

const load = (files: Record<string, Uint8Array>, options: LoadOptions = {}): Promise<EncoderDecoder> =>
  loadEncoderDecoder({ kind: 'folder', folder: folderOf(files) }, HOST, options);

const withConfig = (name: string, change: Record<string, unknown>): Record<string, Uint8Array> => {
  const files = filesOf(name);
  const config = JSON.parse(new TextDecoder().decode(files['config.json'])) as object;
  return { ...files, 'config.json': new TextEncoder().encode(JSON.stringify({ ...config, ...change })) };
};

/** The normed rows of the encoder as it is stated, and the keys and values that are made of them. */
function encoded({ encoder }: EncoderDecoder, source: readonly number[]): { rows: number[]; cross: number[] } {
  const cache = encoder.createCache(source.length);
  const sequence = cache.create();
  cache.reserve(sequence, source.length);
  const positions = Int32Array.from(source, (_, t) => t);
  const segments = [{ sequence, from: 0, count: source.length }];
  const batch: Batch = {
    ids: Int32Array.from(source),
    positions,
    segments,
    outRows: positions,
    isBidirectional: true,
  };
  const rows: number[] = [];
  const { data: cross } = encoder.run(batch, cache, ({ name, data }) => {
    if (name === 'enc.output_norm') rows.push(...data);
  });
  cache.release(sequence);
  return { rows, cross: [...cross] };
}

async function allLogits(model: EncoderDecoder, source: readonly number[], ids: readonly number[]): Promise<number[]> {
  const session = model.encode({ ids: source });
  const { data } = await session.append(ids, { logits: 'all' });
  session.dispose();
  return [...data];
}

async function generated(model: EncoderDecoder, text: string, maxTokens: number) {
  const pieces: { id: number; text: string }[] = [];
  for await (const piece of model.generate(text, { temperature: 0, maxTokens })) pieces.push(piece);
  return { ids: pieces.map(({ id }) => id), text: pieces.map((piece) => piece.text).join('') };
}

const furthest = (a: readonly number[], b: readonly number[]): number =>
  a.length === b.length ? a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0) : Infinity;

describe.each(GOLDEN.cases)('$name', ({ name, texts }) => {
  test('naive64 gives the rows, the logits and the greedy ids of PyTorch in float64', async () => {
    await using model = await load(filesOf(name), { executor: 'naive64' });
    const { vocab } = model.config;
    for (const { text, source, rows, ids, logits } of texts) {
      expect(model.sourceIds(text)).toEqual(source);
      expect(furthest(encoded(model, source).rows, rows)).toBeLessThan(1e-9);
      const all = await allLogits(model, source, ids);
      const stored = ids.flatMap((_, t) => (t % STORED_EVERY === 0 ? all.slice(t * vocab, (t + 1) * vocab) : []));
      expect(furthest(stored, logits)).toBeLessThan(1e-9);
      expect((await generated(model, text, ids.length - 1)).ids).toEqual(ids.slice(1));
    }
  });

  test('f32 tiers give equal bits: any chunks of the answer, cache form, pages, threads and passes', async () => {
    const forms: LoadOptions[] = [
      { prefillChunk: 1 },
      { prefillChunk: 3, kv: { kind: 'paged', pageSize: 16 } },
      { threads: 2 },
      { onlyPasses: [] },
      ...BUILDS.map((kernels) => ({ kernels })),
    ];
    await using naive = await load(filesOf(name), { executor: 'naive' });
    const { source, ids } = texts[2]!;
    const expected = await allLogits(naive, source, ids);
    const { cross } = encoded(naive, source);
    for (const form of forms) {
      await using model = await load(filesOf(name), { ...form, executor: 'wasm' });
      expect(encoded(model, source).cross).toEqual(cross);
      expect(await allLogits(model, source, ids)).toEqual(expected);
    }
  });

  test('sums in f64 have the bits of the naive tier too, and are another form', async () => {
    const wide: LoadOptions = { activations: 'f32', sums: 'f64' };
    const { source, ids } = texts[2]!;
    await using naive = await load(filesOf(name), { ...wide, executor: 'naive' });
    const expected = await allLogits(naive, source, ids);
    const { cross } = encoded(naive, source);
    for (const form of [{}, { prefillChunk: 3 }, { onlyPasses: [] }] satisfies LoadOptions[]) {
      await using model = await load(filesOf(name), { ...wide, ...form });
      expect(encoded(model, source).cross).toEqual(cross);
      expect(await allLogits(model, source, ids)).toEqual(expected);
    }
    await using narrow = await load(filesOf(name), { activations: 'f32' });
    expect(encoded(narrow, source).cross).not.toEqual(cross);
    expect(await allLogits(narrow, source, ids)).not.toEqual(expected);
  });

  test('greedy text is the same from the fast tier, and ends where the model ends it', async () => {
    await using model = await load(filesOf(name));
    for (const { text, ids } of texts) {
      expect((await generated(model, text, ids.length - 1)).ids).toEqual(ids.slice(1));
    }
    expect(texts.some(({ ids }) => ids.at(-1) === 1)).toBe(true);
  });

  test('two texts that are decoded in turns do not see each other, and nothing is left in the cache', async () => {
    await using model = await load(filesOf(name));
    const [a, b] = [texts[0]!, texts[2]!];
    const [first, second] = [model.encode({ ids: a.source }), model.encode({ ids: b.source })];
    const alone = [
      await allLogits(model, a.source, a.ids.slice(0, 4)),
      await allLogits(model, b.source, b.ids.slice(0, 4)),
    ];
    const turns: number[][] = [[], []];
    for (let t = 0; t < 4; t++) {
      turns[0]!.push(...(await first.append([a.ids[t]!])).data);
      turns[1]!.push(...(await second.append([b.ids[t]!])).data);
    }
    expect(turns).toEqual(alone);
    first.dispose();
    second.dispose();
    expect(model.info.cacheBytes).toBe(0);
  });
});

test('every distance has the bucket that published models were trained with', () => {
  const of = (isBidirectional: boolean) =>
    Array.from({ length: 401 }, (_, i) => bucketOf(i - 200, 32, 128, isBidirectional));
  expect(of(true)).toEqual(GOLDEN.buckets.encoder);
  expect(of(false)).toEqual(GOLDEN.buckets.decoder);
});

describe('what cannot be run is refused by name', () => {
  test.each([
    [
      'feed_forward_proj',
      { feed_forward_proj: 'gated-silu' },
      /feed_forward_proj is "gated-silu"; t5 is run with relu, gated-gelu/,
    ],
    ['is_encoder_decoder', { is_encoder_decoder: false }, /is_encoder_decoder is false/],
    ['model_type', { model_type: 'longt5' }, /model_type is "longt5", expected one of t5, mt5, umt5/],
    [
      'a umt5 that does not say what its head is',
      { model_type: 'umt5', architectures: ['UMT5ForConditionalGeneration'], tie_word_embeddings: undefined },
      /tie_word_embeddings is missing/,
    ],
    [
      'a umt5 without numbers of distances in each layer',
      { model_type: 'umt5', architectures: ['UMT5ForConditionalGeneration'] },
      /tensor enc.blk.1.attn_rel_b.weight \[75\] is missing/,
    ],
    ['architectures', { architectures: ['T5EncoderModel'] }, /architecture is "T5EncoderModel"/],
    ['scale_decoder_outputs', { scale_decoder_outputs: false }, /scale_decoder_outputs is false/],
    ['decoder_start_token_id', { decoder_start_token_id: 99 }, /decoder_start_token_id is 99/],
    ['eos_token_id', { eos_token_id: null }, /eos_token_id is null/],
    ['buckets', { relative_attention_num_buckets: 6 }, /relative_attention_num_buckets is 6, must be a multiple of 4/],
    [
      'more buckets',
      { relative_attention_num_buckets: 132 },
      /relative_attention_num_buckets is 132, must be .* to 128/,
    ],
    ['a head that is missing', { tie_word_embeddings: false }, /tensor output.weight \[41, 12\] is missing/],
    ['layers', { num_decoder_layers: 1 }, /cross_attn_k.weight has no place in a t5 of 1 decoder layers/],
    ['heads', { num_heads: 2 }, /the config asks for/],
  ])('%s', async (_what, change, message) => {
    await expect(load(withConfig('v1.0', change))).rejects.toThrow(message);
  });

  /** The model with its tensors renamed; null leaves one out. */
  const renamed = async (change: (name: string) => string | null): Promise<Record<string, Uint8Array>> => {
    const files = filesOf('v1.0');
    const header = Number(new DataView(files['model.safetensors']!.buffer).getBigUint64(0, true));
    const bytes = files['model.safetensors']!;
    const entries = Object.entries(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + header))) as object);
    const kept = entries.flatMap(([name, entry]) => {
      const to = change(name);
      return to === null ? [] : [[to, entry]];
    });
    const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(kept)).padEnd(header));
    const out = new Uint8Array(8 + text.length + bytes.length - 8 - header);
    new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
    out.set(text, 8);
    out.set(bytes.subarray(8 + header), 8 + text.length);
    return { ...files, 'model.safetensors': out };
  };

  test.each([
    [
      'a surplus tensor',
      'encoder.block.0.layer.0.layer_norm.weight',
      'encoder.block.0.layer.7.layer_norm.weight',
      /encoder.block.0.layer.7.layer_norm.weight has no place/,
    ],
    [
      'a layer that is not there',
      'encoder.block.1.layer.0.layer_norm.weight',
      'encoder.block.5.layer.0.layer_norm.weight',
      /tensor enc.blk.1.attn_norm.weight \[12\] is missing/,
    ],
    [
      'cross attention that is missing',
      'decoder.block.1.layer.1.EncDecAttention.v.weight',
      'decoder.embed_tokens.weight',
      /tensor dec.blk.1.cross_attn_v.weight \[24, 12\] is missing/,
    ],
  ])('%s', async (_what, from, to, message) => {
    const files = await renamed((name) => (name === from ? to : name));
    await expect(load(files)).rejects.toThrow(message);
  });

  test.each([
    ['speculate', { speculate: { kind: 'lookup', most: 4 } }],
    ['beams', { beams: 2 }],
  ] as const)('%s', async (name, options) => {
    await using model = await load(filesOf('v1.0'));
    await expect(model.generate('a', options).next()).rejects.toThrow(`an encoder-decoder generates without ${name}`);
  });

  test('caches that drop or share rows, adapters, and texts that are too long or empty', async () => {
    await expect(load(filesOf('v1.0'), { kv: { kind: 'prefix' } })).rejects.toThrow(/contiguous or paged, not prefix/);
    await using model = await load(filesOf('v1.0'), { maxSeq: 3 });
    expect(() => model.encode('the fox sat')).toThrow(/the text has 4 tokens, there is room for 3; raise --max-seq/);
    expect(() => model.encode({ ids: [] })).toThrow(/the text is empty/);
    await using whole = await load(filesOf('v1.0'));
    const session = whole.encode('a');
    await expect(session.append(new Array(65).fill(4))).rejects.toThrow(/room for 64 tokens, 65 are asked for/);
    session.dispose();
  });
});

test('after an append that fails an answer goes on as if it had not been asked for', async () => {
  await using model = await load(filesOf('v1.0'), { prefillChunk: 2 });
  const [whole, session] = [model.encode('the fox'), model.encode('the fox')];
  await session.append([0, 4]);
  const { vocab } = model.config;
  await expect(session.append([])).rejects.toThrow(ShapeError);
  await expect(session.append([5, 2.5])).rejects.toThrow(ShapeError);
  await expect(session.append([5, 2 ** 32 + 4])).rejects.toThrow(ShapeError);
  await expect(session.append([5, 6, 7, vocab])).rejects.toThrow(ShapeError); // in its second run
  let nAsked = 0;
  const signal = {
    throwIfAborted() {
      if (nAsked++ > 0) throw new Error('enough');
    },
  } as unknown as AbortSignal;
  await expect(session.append([5, 6, 7], { signal })).rejects.toThrow('enough');
  expect(session.ids).toEqual([0, 4]);
  expect((await session.append([5, 6, 7])).data).toEqual((await whole.append([0, 4, 5, 6, 7])).data);
});

test('cross attention needs to be told how many rows are the source', async () => {
  await using model = await load(filesOf('v1.0'));
  const cache = model.decoder.createCache(8);
  const sequence = cache.create();
  cache.reserve(sequence, 3);
  const batch = (source?: number): Batch => ({
    ids: Int32Array.of(0),
    positions: Int32Array.of(2),
    segments: [{ sequence, from: 0, count: 1, ...(source !== undefined && { source }) }],
    outRows: Int32Array.of(0),
  });
  expect(() => model.decoder.run(batch(), cache)).toThrow(/a segment does not say how many source rows it has/);
  for (const source of [3, 0, -1, 1.5, Number.NaN]) {
    const refused = () => model.decoder.run(batch(source), cache);
    expect(refused).toThrow(ShapeError);
    expect(refused).toThrow(`${source} source rows, expected 1 to 2, the rows before the segment`);
  }
  expect(() => model.decoder.run(batch(2), cache)).not.toThrow();
});

describe('the two graphs', () => {
  const parts = async () => {
    const folder = await openHfFolder(folderOf(filesOf('v1.0')));
    const config = t5ConfigFromHf(folder.config);
    const tensors = t5Tensors(config, folder.weights.tensors);
    const graphs = {
      encoder: buildT5Encoder(config, tensors.encoder, 'f32'),
      decoder: buildT5Decoder(config, tensors.decoder, 'f32'),
    };
    return { tensors, graphs };
  };
  const { source, ids } = GOLDEN.cases[0]!.texts[0]!;
  const N_SOURCE = 4;

  /** A run of a graph with anything in the rows that the encoder would have written. */
  const runOf = (side: 'encoder' | 'decoder', executor: Executor) => {
    const cache = executor.createCache(N_SOURCE + ids.length);
    const sequence = cache.create();
    const isDecoder = side === 'decoder';
    const nSource = isDecoder ? N_SOURCE : 0;
    const given = isDecoder ? ids : source;
    cache.reserve(sequence, nSource + given.length);
    const { nLayers, nKvHeads, headDim } = cache.layout;
    for (let layer = 0; isDecoder && layer < nLayers; layer++) {
      const rows = Float32Array.from({ length: N_SOURCE * nKvHeads * headDim }, (_, i) => Math.sin(i + layer));
      cache.writeK(sequence, layer, 0, rows);
      cache.writeV(sequence, layer, 0, rows);
    }
    const batch: Batch = {
      ids: Int32Array.from(given),
      positions: Int32Array.from(given, (_, t) => nSource + t),
      segments: [{ sequence, from: 0, count: given.length, ...(isDecoder && { source: N_SOURCE }) }],
      outRows: Int32Array.from(given, (_, t) => t),
      isBidirectional: !isDecoder,
    };
    return { cache, batch };
  };

  test.each(['encoder', 'decoder'] as const)('every value of the %s lies within its bound of float64', async (side) => {
    const { tensors, graphs } = await parts();
    const weights = await loadWeights(graphs[side], tensors[side]);
    for (const tier of ['naive', 'wasm simd'] as const) {
      const executor = await executorOfGraph(tier, graphs[side], tensors[side]);
      const { cache, batch } = runOf(side, executor);
      const { ops, firstOutside } = boundedRun(executor, weights, batch, cache);
      expect(firstOutside).toBeUndefined();
      expect(ops.map(({ op }) => op)).toEqual(expect.arrayContaining(['position_bias', 'relu', 'softmax']));
      executor.dispose();
    }
  });

  test.each(['encoder', 'decoder'] as const)(
    'the %s comes back from a file, before and after the passes',
    async (side) => {
      const { graphs } = await parts();
      for (const graph of [graphs[side], optimize(graphs[side])]) {
        verify(graph);
        expect(graphFromJson(JSON.parse(graphToJson(graph)), 'graph')).toEqual(graph);
      }
    },
  );

  test('a pass fuses cross attention; one that forgets what it sees is caught', async () => {
    const { tensors, graphs } = await parts();
    const fused = optimize(graphs.decoder);
    const cross = fused.nodes.filter((node) => node.op === 'attend');
    expect(cross.map(({ name, sees }) => [name, sees])).toEqual([
      ['dec.blk.0.cross_mix', 'source'],
      ['dec.blk.1.cross_mix', 'source'],
    ]);
    const logits = async (graph: Graph): Promise<number[]> => {
      const executor = await executorOfGraph('wasm simd', graph, tensors.decoder, (same) => same);
      const { cache, batch } = runOf('decoder', executor);
      return [...executor.run(batch, cache).data];
    };
    const forgetful = fused.nodes.map((node) => {
      if (node.op !== 'attend') return node;
      const { sees: _, ...rest } = node;
      return rest;
    });
    expect(await logits(fused)).toEqual(await logits(graphs.decoder));
    expect(await logits({ ...fused, nodes: forgetful })).not.toEqual(await logits(fused));
  });

  test('ops of one attention that see different rows are refused', async () => {
    const { graphs } = await parts();
    const nodes = graphs.decoder.nodes.map((node) => {
      if (node.name !== 'dec.blk.0.cross_probs' || node.op !== 'softmax') return node;
      const { sees: _, ...rest } = node;
      return rest;
    });
    expect(() => verify({ ...graphs.decoder, nodes })).toThrow(/sees its own rows, dec.blk.0.cross_scores sees source/);
  });
});
