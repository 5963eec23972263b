import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { withAdapters } from '../../src/engine/adapters.ts';
import { modelFingerprint } from '../../src/engine/fingerprint.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import type { LoraOption } from '../../src/engine/options.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { verify } from '../../src/graph/verify.ts';
import { withWideSums } from '../../src/graph/wide_sums.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { describeGguf, type ModelDescription } from '../../src/models/architectures.ts';
import { type ArchitectureCase, fileOfCase } from '../support/architecture_cases.ts';
import {
  batchOf,
  executorOfGraph,
  F32_TIERS,
  firstDifference,
  HOST,
  logitsInChunks,
  traceOf,
} from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes } from '../support/hf_folders.ts';
import { differenceBound, readF32 } from '../support/lora_bounds.ts';
import {
  type Adapter,
  fileSource,
  folderSource,
  ggufLora,
  type LoraWeights,
  peftFiles,
  randomPair,
} from '../support/lora_cases.ts';

/** Adapters (LoRA) at run time and merged, on random models. */

const IDS = [1, 77, 130, 299, 300, 45, 12];

async function modelOf(one: Partial<ArchitectureCase> = {}): Promise<ModelDescription> {
  const bytes = fileOfCase({ architecture: 'llama', layout: 'own kv heads', format: 'f32', seed: 5, ...one });
  return describeGguf(await openModelFile(bufferSource('model.gguf', bytes)));
}

/** Random pairs for every matrix that only products read. */
function adapterFor({ buildGraph }: ModelDescription, rank: number, seed: number): Map<string, LoraWeights> {
  const { nodes } = buildGraph('f32');
  const adapter = new Map<string, LoraWeights>();
  for (const [id, node] of nodes.entries()) {
    if (node.op !== 'weight') continue;
    const readers = nodes.filter(({ inputs }) => inputs.includes(id));
    if (readers.some(({ op }) => op !== 'linear')) continue;
    const [out, nIn] = node.shape as [number, number];
    adapter.set(node.name, randomPair(rank, nIn, out, seed + id));
  }
  return adapter;
}

const beside = async (model: ModelDescription, lora: readonly LoraOption[]): Promise<ModelDescription> =>
  (await withAdapters(model, lora, false)).description;
const merged = async (model: ModelDescription, lora: readonly LoraOption[]): Promise<ModelDescription> =>
  (await withAdapters(model, lora, true)).description;

async function naiveTrace({ buildGraph, tensors }: ModelDescription) {
  return traceOf(await executorOfGraph('naive', buildGraph('f32'), tensors), IDS);
}

describe('an adapter beside the model', () => {
  const cases: [RandomArchitectureName, ArchitectureCase['format'], number][] = [
    ['llama', 'f32', 3],
    ['qwen2', 'f16', 1],
    ['gpt2', 'f32', 8],
    ['falcon', 'q4_0', 32],
  ];
  test.each(cases)('%s, %s, rank %i: equal bits, in chunks and with threads', async (architecture, format, rank) => {
    const plain = await modelOf({ architecture, format, layout: format === 'q4_0' ? 'whole blocks' : 'own kv heads' });
    const [one, two] = [adapterFor(plain, rank, 1), adapterFor(plain, 2, 9)];
    expect(one.size).toBeGreaterThan(7);
    const { buildGraph, tensors } = await beside(plain, [
      { open: fileSource(ggufLora(one, { architecture, format: rank % 32 === 0 ? 'q8_0' : 'f32' })), scale: 0.5 },
      { open: fileSource(ggufLora(two, { architecture, format: 'f16' })), scale: -1.25 },
    ]);
    const graph = buildGraph('q8');
    verify(graph);
    verify(optimize(graph));
    const definition = await executorOfGraph('naive', graph, tensors);
    const expected = traceOf(definition, IDS);
    const logits = expected.get(graph.nodes[graph.output]!.name)!.data;
    const without = traceOf(await executorOfGraph('naive', plain.buildGraph('q8'), plain.tensors), IDS);
    expect(firstDifference(logits, without.get(graph.nodes[graph.output]!.name)!.data)).toBeDefined();
    let nCompared = 0;
    for (const tier of F32_TIERS.slice(1)) {
      const executor = await executorOfGraph(tier, graph, tensors);
      for (const [name, { data }] of traceOf(executor, IDS)) {
        const defined = expected.get(name);
        if (defined === undefined) continue; // a merged value
        nCompared++;
        expect(firstDifference(data, defined.data), `${tier}: ${name}`).toBeUndefined();
      }
      expect(firstDifference(logitsInChunks(executor, IDS, [3, 1]), logits), `${tier}: chunks`).toBeUndefined();
      executor.dispose();
    }
    expect(nCompared).toBeGreaterThan(100);
    const threaded = await executorOfGraph(F32_TIERS[1]!, graph, tensors, undefined, 2);
    expect(firstDifference(logitsInChunks(threaded, IDS, []), logits), 'two threads').toBeUndefined();
    threaded.dispose();
  });

  test.each([false, true])('sums in f64 have the bits of the naive tier, merged: %s', async (isMerged) => {
    const format = isMerged ? 'f16' : 'q8_0';
    const plain = await modelOf({ format, layout: 'whole blocks' });
    const lora = [{ open: fileSource(ggufLora(adapterFor(plain, 3, 1))), scale: 0.5 }];
    const { buildGraph, tensors } = await (isMerged ? merged : beside)(plain, lora);
    const logitsOf = async (tier: (typeof F32_TIERS)[number], graph: Graph, chunks: number[] = []) => {
      const executor = await executorOfGraph(tier, graph, tensors);
      const logits = logitsInChunks(executor, IDS, chunks);
      executor.dispose();
      return logits;
    };
    const wide = withWideSums(buildGraph('f32'));
    const expected = await logitsOf('naive', wide);
    for (const tier of F32_TIERS.slice(1)) {
      expect(firstDifference(await logitsOf(tier, optimize(wide), [3, 1]), expected), tier).toBeUndefined();
    }
    expect(firstDifference(await logitsOf('naive', buildGraph('f32')), expected), 'another form').toBeDefined();
  });

  test('every value lies within its bound of float64 on the same inputs', async () => {
    const plain = await modelOf();
    const { buildGraph, tensors } = await beside(plain, [{ open: fileSource(ggufLora(adapterFor(plain, 5, 1))) }]);
    const graph = buildGraph('f32');
    const executor = await executorOfGraph('naive', graph, tensors);
    const cache = executor.createCache(16);
    const batch = batchOf(cache, [{ sequence: cache.create(), ids: IDS }]);
    const { ops, firstOutside } = boundedRun(executor, await loadWeights(graph, tensors), batch, cache);
    expect(firstOutside).toBeUndefined();
    expect(ops.map(({ op }) => op)).toEqual(expect.arrayContaining(['linear', 'scale', 'add']));
  });

  test('alpha, rank and scale make one factor; a rank-stabilized one is divided by its root', async () => {
    const plain = await modelOf({ architecture: 'qwen2' });
    const adapter = adapterFor(plain, 4, 3);
    const logitsOf = async (model: ModelDescription) => (await naiveTrace(model)).get('logits')!.data;
    const gguf = (alpha: number, scale: number) =>
      beside(plain, [{ open: fileSource(ggufLora(adapter, { architecture: 'qwen2', alpha })), scale }]);
    const expected = await logitsOf(await gguf(16, 1));
    expect(firstDifference(await logitsOf(await gguf(8, 2)), expected)).toBeUndefined();
    expect(firstDifference(await logitsOf(await gguf(8, 1)), expected)).toBeDefined();
  });
});

describe('an adapter of PEFT', () => {
  test('on a folder has the bits of the GGUF adapter on the GGUF file', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('qwen2', 'own kv heads');
    const folder = await describeFolder(
      { ...hfSizes('own kv heads'), model_type: 'qwen2', rope_theta: 10000, hidden_act: 'silu' },
      tensors,
    );
    const names = new Map([...folder.hfNames!].map(([hf, name]) => [name, hf]));
    const adapter = adapterFor(gguf, 4, 3);
    const inHf: Adapter = new Map([...adapter].map(([name, pair]) => [names.get(name)!, pair]));
    const ofGguf = await naiveTrace(
      await beside(gguf, [{ open: fileSource(ggufLora(adapter, { architecture: 'qwen2', alpha: 16 })) }]),
    );
    for (const config of [
      { lora_alpha: 16 },
      { lora_alpha: 8, use_rslora: true },
      { lora_alpha: 16, r: 9, rank_pattern: { q_proj: 4 } },
    ]) {
      const ofPeft = await naiveTrace(await beside(folder, [{ open: folderSource(peftFiles(inHf, config)) }]));
      expect(ofPeft.size).toBe(ofGguf.size);
      for (const [name, { data }] of ofPeft)
        expect(firstDifference(data, ofGguf.get(name)!.data), name).toBeUndefined();
    }
  });
});

describe('a merged adapter', () => {
  test('is W + s B A, rounded once, whatever part is read', async () => {
    const plain = await modelOf({ format: 'f16' });
    const adapter = adapterFor(plain, 3, 4);
    const name = 'blk.1.ffn_down.weight';
    const { tensors } = await merged(plain, [
      { open: fileSource(ggufLora(adapter)), scale: 0.75 },
      { open: fileSource(ggufLora(adapter, { alpha: 3 })) },
    ]);
    const info = tensors.get(name)!;
    expect(info).toMatchObject({ type: 'f32', shape: [72, 100], nBytes: 72 * 100 * 4 });
    const w = await readF32(plain.tensors.get(name)!);
    const { a, b, rank, in: nIn, out } = adapter.get(name)!;
    const expected = new Float32Array(out * nIn);
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < nIn; i++) {
        let product = 0;
        for (let k = 0; k < rank; k++) product += b[o * rank + k]! * a[k * nIn + i]!;
        expected[o * nIn + i] = w[o * nIn + i]! + (8 / 3) * 0.75 * product + product;
      }
    }
    expect(firstDifference(await readF32(info), expected)).toBeUndefined();
    const bytes = new Uint8Array(expected.buffer);
    for (const [from, n] of [
      [0, 1],
      [3, 5],
      [399, 402],
      [1201, 4000],
      [bytes.length - 3, 3],
    ] as const) {
      const part = new Uint8Array(n);
      await readTensorBytes(info, from, part);
      expect([...part]).toEqual([...bytes.subarray(from, from + n)]);
    }
  });

  test('and the one beside the model differ, on the same x, by no more than both may be off', async () => {
    const plain = await modelOf();
    const adapter = adapterFor(plain, 6, 8);
    const lora = [{ open: fileSource(ggufLora(adapter)), scale: 0.5 }];
    const run = await beside(plain, lora);
    const { nodes } = run.buildGraph('f32');
    const trace = await naiveTrace(run);
    const { tensors } = await merged(plain, lora);
    let [nCompared, nUnequal] = [0, 0];
    for (const node of nodes) {
      if (node.op !== 'linear' || !node.name.endsWith('.plain')) continue;
      const name = nodes[node.inputs[1]!]!.name;
      const sum = trace.get(node.name.slice(0, -'.plain'.length))!.data as Float32Array;
      const pair = adapter.get(name)!;
      const x = trace.get(nodes[node.inputs[0]!]!.name)!.data as Float32Array;
      const w = await readF32(plain.tensors.get(name)!);
      const both = differenceBound({ x, w, mergedW: await readF32(tensors.get(name)!), pair, scale: (8 / 6) * 0.5 });
      for (const [i, { value, bound }] of both.entries()) {
        const error = Math.abs(sum[i]! - value);
        if (error > 0) nUnequal++;
        nCompared++;
        expect(error <= bound, `${node.name}[${i}]: ${error} and ${bound}`).toBe(true);
      }
      // A wrong factor would be seen.
      const wrong = differenceBound({ x, w, mergedW: w, pair, scale: (8 / 6) * 0.5 });
      expect(wrong.some(({ value, bound }, i) => !(Math.abs(sum[i]! - value) <= bound))).toBe(true);
    }
    expect(nCompared).toBeGreaterThan(1000);
    expect(nUnequal).toBeGreaterThan(100);
  });

  test('runs with equal bits on every tier, and refuses weights in blocks', async () => {
    const plain = await modelOf({ format: 'bf16' });
    const adapter = adapterFor(plain, 2, 8);
    const { buildGraph, tensors } = await merged(plain, [{ open: fileSource(ggufLora(adapter)) }]);
    const graph = buildGraph('f32');
    expect(graph.nodes.length).toBe(plain.buildGraph('f32').nodes.length);
    const logits = [];
    for (const tier of F32_TIERS) logits.push(logitsInChunks(await executorOfGraph(tier, graph, tensors), IDS, []));
    for (const other of logits.slice(1)) expect(firstDifference(other, logits[0]!)).toBeUndefined();

    const quantized = await modelOf({ format: 'q8_0', layout: 'whole blocks' });
    const onBlocks = fileSource(ggufLora(adapterFor(quantized, 2, 8)));
    await expect(merged(quantized, [{ open: onBlocks }])).rejects.toThrow(
      /tensor "blk\.0\..*" is q8_0: only f32, f16, bf16 can be merged with an adapter; .*without --lora-merge/,
    );
  });
});

describe('a loaded model', () => {
  const file = () =>
    bufferSource('model.gguf', fileOfCase({ architecture: 'llama', layout: 'grouped', format: 'f32', seed: 5 }));

  test('generates with its adapters, on every tier alike', async () => {
    const plain = await modelOf({ layout: 'grouped' });
    const open = fileSource(ggufLora(adapterFor(plain, 4, 2)));
    const rows: ArrayLike<number>[] = [];
    for (const options of [
      { executor: 'naive' as const },
      {},
      { kv: { kind: 'paged' as const, pageSize: 16 } },
      { threads: 2 },
    ]) {
      const source = { kind: 'file' as const, source: file() };
      await using model = await loadModel(source, HOST, { ...options, lora: [{ open, scale: 2 }] });
      using session = model.createSession();
      rows.push((await session.append(IDS)).data.slice());
    }
    for (const row of rows.slice(1)) expect(firstDifference(row, rows[0]!)).toBeUndefined();
    await using model = await loadModel({ kind: 'file', source: file() }, HOST, {
      lora: [{ open, scale: 2 }],
      loraMerge: true,
    });
    using session = model.createSession();
    const row = (await session.append(IDS)).data;
    expect(row.indexOf(Math.max(...row))).toBe(Array.from(rows[0]!).indexOf(Math.max(...Array.from(rows[0]!))));
  });

  test('is another one than with another scale, or without: sessions are not taken for each other', async () => {
    const plain = await modelOf({ layout: 'grouped' });
    const open = fileSource(ggufLora(adapterFor(plain, 4, 2)));
    const prints = new Set<string>();
    for (const model of [
      plain,
      ...(await Promise.all(
        [1, 2].flatMap((scale) => [beside(plain, [{ open, scale }]), merged(plain, [{ open, scale }])]),
      )),
    ]) {
      prints.add(Buffer.from(await modelFingerprint(model, 'f32', 'f32', 64)).toString('hex'));
    }
    expect(prints.size).toBe(5);
  });
});
