import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Batch, Executor } from '../../src/exec/executor.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { describeEncoderFolder, type EncoderDescription } from '../../src/models/encoders.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { ENCODER_SHAPE, encoderFile } from '../support/encoder_cases.ts';
import { executorOfGraph, F32_TIERS, firstDifference } from '../support/executors.ts';

/** MPNet, which no GGUF file has: a random BERT under the names of its folders, and numbers for buckets of distances. */

const N_BUCKETS = 32;
/** Rows of positions that no token has. */
const N_UNUSED = 2;

const PARTS: Readonly<Record<string, string>> = {
  token_embd: 'embeddings.word_embeddings',
  position_embd: 'embeddings.position_embeddings',
  token_embd_norm: 'embeddings.LayerNorm',
  attn_q: 'attention.attn.q',
  attn_k: 'attention.attn.k',
  attn_v: 'attention.attn.v',
  attn_output: 'attention.attn.o',
  attn_output_norm: 'attention.LayerNorm',
  ffn_up: 'intermediate.dense',
  ffn_down: 'output.dense',
  layer_output_norm: 'output.LayerNorm',
};

function f32Tensor(name: string, shape: readonly number[], at: (i: number) => number): TensorInfo {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => at(i));
  const bytes = new Uint8Array(4 * values.length);
  FORMATS.f32.pack(values, 0, values.length, bytes, 0);
  return { name, type: 'f32', shape, source: bufferSource(name, bytes), offset: 0, nBytes: bytes.length };
}

interface Sizes {
  readonly nHeads: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly seed: number;
}

const SIZES: Sizes = { nHeads: 3, dim: 24, hiddenDim: 20, nLayers: 2, seed: 1 };

async function randomMpnet(sizes: Sizes, changes: JsonObject = {}, change = (_: Map<string, TensorInfo>) => {}) {
  const { seed, ...shape } = { ...sizes, nKvHeads: sizes.nHeads };
  const bytes = encoderFile({ architecture: 'bert', shape: { ...shape, tied: false }, seed });
  const { maxContext, vocab } = ENCODER_SHAPE;
  const tensors = new Map<string, TensorInfo>();
  for (const [name, info] of (await openModelFile(bufferSource('bert.gguf', bytes))).tensors) {
    const [, layer, part, kind] = /^(?:blk\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name)!;
    const hfPart = PARTS[part!];
    if (hfPart === undefined) continue; // types, and a head
    tensors.set(`mpnet.${layer === undefined ? '' : `encoder.layer.${layer}.`}${hfPart}.${kind}`, info);
  }
  const places = [maxContext + N_UNUSED, sizes.dim];
  tensors.set(
    'mpnet.embeddings.position_embeddings.weight',
    f32Tensor('places', places, (i) => Math.fround(Math.sin(i))),
  );
  const buckets = [N_BUCKETS, sizes.nHeads];
  tensors.set(
    'mpnet.encoder.relative_attention_bias.weight',
    f32Tensor('buckets', buckets, (i) => 3 * Math.cos(i * i)),
  );
  change(tensors);
  const config: JsonObject = {
    model_type: 'mpnet',
    vocab_size: vocab,
    hidden_size: sizes.dim,
    intermediate_size: sizes.hiddenDim,
    num_hidden_layers: sizes.nLayers,
    num_attention_heads: sizes.nHeads,
    max_position_embeddings: maxContext + N_UNUSED,
    layer_norm_eps: 1e-5,
    relative_attention_num_buckets: N_BUCKETS,
    ...changes,
  };
  const weights = { format: 'safetensors', name: 'x', metadata: new Map(), tensors, close: async () => {} } as const;
  const none = { tokenizerJson: null, tokenizerConfig: null, generationConfig: null, preprocessorConfig: null };
  return describeEncoderFolder({ ...none, config, weights, chatTemplate: null });
}

function rowsOf(executor: Executor, texts: readonly (readonly number[])[]): number[] {
  const cache = executor.createCache(128);
  const ids: number[] = [];
  const positions: number[] = [];
  const segments = texts.map((text) => {
    const sequence = cache.create();
    cache.reserve(sequence, text.length);
    const segment = { sequence, from: ids.length, count: text.length };
    ids.push(...text);
    positions.push(...text.keys());
    return segment;
  });
  const outRows = Int32Array.from(ids.keys());
  const batch: Batch = {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    segments,
    outRows,
    isBidirectional: true,
  };
  return [...executor.run(batch, cache).data];
}

const graphOf = ({ buildGraph, tensors }: EncoderDescription) => buildGraph(tensors, 'f32', 'rows');

test('naive and wasm have equal bits over random sizes, texts together and alone', async () => {
  const sizes = fc
    .record({
      nHeads: fc.integer({ min: 1, max: 4 }),
      halfHead: fc.integer({ min: 1, max: 5 }),
      hiddenDim: fc.integer({ min: 1, max: 33 }),
      nLayers: fc.integer({ min: 1, max: 2 }),
      seed: fc.nat(1000),
    })
    .map(({ halfHead, ...rest }): Sizes => ({ ...rest, dim: rest.nHeads * 2 * halfHead }));
  const text = fc.array(fc.nat(ENCODER_SHAPE.vocab - 1), { minLength: 1, maxLength: ENCODER_SHAPE.maxContext });
  await fc.assert(
    fc.asyncProperty(sizes, text, text, async (shape, a, b) => {
      const model = await randomMpnet(shape);
      const graph = graphOf(model);
      expect(graph.nodes.filter(({ op }) => op === 'position_bias').length).toBe(shape.nLayers);
      const naive = await executorOfGraph('naive', graph, model.tensors);
      const expected = [...rowsOf(naive, [a]), ...rowsOf(naive, [b])];
      expect(firstDifference(rowsOf(naive, [a, b]), expected)).toBeUndefined();
      for (const tier of F32_TIERS.slice(1)) {
        for (const nThreads of [1, 2]) {
          const executor = await executorOfGraph(tier, graph, model.tensors, undefined, nThreads);
          expect(firstDifference(rowsOf(executor, [a, b]), expected), `${tier}, ${nThreads}`).toBeUndefined();
          executor.dispose();
        }
      }
    }),
    { numRuns: 4 },
  );
});

test('a row has the numbers of its distances, the same in all layers', async () => {
  const model = await randomMpnet(SIZES);
  const names = graphOf(model).nodes.flatMap((n) =>
    n.op === 'weight' && n.name === 'attn_rel_b.weight' ? [n.shape] : [],
  );
  expect(names).toEqual([[SIZES.nHeads * (2 * 128 + 1)]]);
});

test('what is a variant is refused by name', async () => {
  const build = async (changes: JsonObject, change?: (tensors: Map<string, TensorInfo>) => void) =>
    graphOf(await randomMpnet(SIZES, changes, change));
  await expect(build({ relative_attention_num_buckets: 16 })).rejects.toThrow(
    /num_buckets is 16; mpnet is run with 32/,
  );
  await expect(build({ hidden_act: 'relu' })).rejects.toThrow(/hidden_act is "relu"; mpnet is run with gelu/);
  const buckets = 'mpnet.encoder.relative_attention_bias.weight';
  await expect(build({}, (tensors) => tensors.delete(buckets))).rejects.toThrow(/attn_rel_b\.weight .* is missing/);
  const short = f32Tensor('short', [16, SIZES.nHeads], () => 0);
  await expect(build({}, (tensors) => tensors.set(buckets, short))).rejects.toThrow(
    /\[16, 3\], the config asks for \[32, 3\]/,
  );
  const places = 'mpnet.embeddings.position_embeddings.weight';
  await expect(build({}, (tensors) => tensors.delete(places))).rejects.toThrow(
    /position_embeddings\.weight is missing/,
  );
  const types = 'mpnet.embeddings.token_type_embeddings.weight';
  await expect(build({}, (tensors) => tensors.set(types, short))).rejects.toThrow(/token_type_embeddings/);
});
