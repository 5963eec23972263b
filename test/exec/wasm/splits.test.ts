import { expect, test } from 'vitest';
import { DTYPES, type DType } from '../../../src/core/dtype.ts';
import type { KernelModule } from '../../../src/core/host.ts';
import type { Batch } from '../../../src/exec/executor.ts';
import type { Arena } from '../../../src/exec/wasm/arena.ts';
import { arenaStorage } from '../../../src/exec/wasm/arena_storage.ts';
import { FORMAT_MODULES, type KernelFormat } from '../../../src/exec/wasm/format_kernels.ts';
import { createFrames } from '../../../src/exec/wasm/frame.ts';
import { instantiateKernels } from '../../../src/exec/wasm/instantiate.ts';
import { linearScratchBytes } from '../../../src/exec/wasm/layout.ts';
import { createMachine } from '../../../src/exec/wasm/machine.ts';
import { loadPackedWeights } from '../../../src/exec/wasm/packed_weights.ts';
import { createRopeTables } from '../../../src/exec/wasm/rope_tables.ts';
import { runNode } from '../../../src/exec/wasm/run_node.ts';
import { splitKernels } from '../../../src/exec/wasm/split_kernels.ts';
import { coreSplits, formatSplits } from '../../../src/exec/wasm/splits.ts';
import type { Graph, Node } from '../../../src/graph/ir.ts';
import { optimize, PASSES } from '../../../src/graph/passes/index.ts';
import { withWideSums } from '../../../src/graph/wide_sums.ts';
import type { KvCache } from '../../../src/kvcache/cache.ts';
import { createKvCache } from '../../../src/kvcache/create.ts';
import { CONTIGUOUS, type KvOptions } from '../../../src/kvcache/options.ts';
import type { TensorInfo } from '../../../src/load/model_file.ts';
import { buildLlama } from '../../../src/models/llama.ts';
import { buildVit, vitTensors } from '../../../src/models/vit.ts';
import type { Activations } from '../../../src/ops/linear.ts';
import { SUPER_BLOCK_SIZE } from '../../../src/quant/ggml_block.ts';
import { batchOf, firstDifference, HOST } from '../../support/executors.ts';
import { buildExpertModel } from '../../support/expert_model.ts';
import { type Change, kernelsByName, plainPool } from '../../support/plain_pool.ts';
import { tinyLlama } from '../../support/tiny_llama.ts';
import { picturesBatch, tinyVit } from '../../support/tiny_vit.ts';

/** How calls of each kernel are split: by hand, without workers, so that each line of each rule can be made wrong. */

const GEOMETRY = { nHeads: 6, nKvHeads: 3, headDim: 32, dim: 192, hiddenDim: 320, vocab: 301, maxContext: 96 };
/** Of formats in super-blocks: rows are whole blocks. */
const SUPER_GEOMETRY = { ...GEOMETRY, nHeads: 8, nKvHeads: 4, dim: 256, hiddenDim: 512 };
const FORMATS = Object.keys(FORMAT_MODULES) as KernelFormat[];
const N_THREADS = 3;
const WINDOW = 9;
/** A window that begins too early: scores are computed that nobody reads. */
const HARMLESS = new Set(['core.attendScoresF32 10 step 3', 'core.attendScoresF32Wide 10 step 3']);
/** Arguments of a call that a share moves on. */
const MOST_STEPS = 5;
const FUSING = PASSES.map((p) => p.name).filter((name) => name.startsWith('fuse_'));

/** What an earlier run left in the cache must not stand in for what this one does not write. */
function forgetFreeMemory(arena: Arena): void {
  const pieces = Array.from({ length: 64 }, () => arena.alloc(2 ** 15));
  for (const at of pieces) arena.bytes(at, 2 ** 15).fill(0xff);
  for (const at of pieces) arena.free(at);
}

interface ModelCase {
  readonly dtype: DType;
  readonly activations: Activations;
  readonly ropeLayout: 'pairs' | 'halves';
  /** Nothing is fused, so that kernels of the parts are called too; rows see a window. */
  readonly isPlain?: boolean;
  /** The gate's activation, where it is not silu. */
  readonly act?: 'gelu' | 'gelu_tanh' | 'quick_gelu' | 'relu' | 'tanh' | 'soft_cap' | 'scale' | undefined;
  /** Its norms are layer norms, whose biases are their scales. */
  readonly hasLayerNorms?: boolean;
  /** An approximate pass runs too. */
  readonly approximate?: string;
  /** How cached rows are stored. */
  readonly kv?: KvOptions;
}

/** A model, and what it runs. */
interface SplitCase {
  readonly dtype: DType;
  readonly graph: Graph;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly kv?: KvOptions | undefined;
  /** One after the other; each is asked for when the one before has run. */
  batches(cache: KvCache): Iterable<Batch>;
}

/** Of activations that have some. */
const ATTRIBUTES: Readonly<Record<string, object>> = { soft_cap: { cap: 0.5 }, scale: { by: 3 } };

/** A prompt of two sequences, then one token each. */
function llamaCase({
  dtype,
  activations,
  ropeLayout,
  isPlain,
  act,
  hasLayerNorms,
  approximate,
  kv,
}: ModelCase): SplitCase {
  const geometry = DTYPES[dtype].blockSize === SUPER_BLOCK_SIZE ? SUPER_GEOMETRY : GEOMETRY;
  const tiny = tinyLlama({ seed: 5, dtype, config: { ...geometry, ropeLayout, nLayers: 1 } });
  const built = buildLlama(tiny.config, tiny.tensors, activations);
  const nodes = built.nodes.map((n): Node => {
    if (hasLayerNorms && n.op === 'rms_norm') return { ...n, op: 'layer_norm', inputs: [...n.inputs, n.inputs[1]!] };
    if (isPlain && (n.op === 'attend_scores' || n.op === 'softmax' || n.op === 'attend_mix'))
      return { ...n, window: WINDOW };
    return act && n.op === 'silu' ? ({ ...n, op: act, ...ATTRIBUTES[act] } as Node) : n;
  });
  return {
    dtype,
    graph: optimize(
      { ...built, nodes },
      isPlain ? FUSING : [],
      undefined,
      approximate === undefined ? [] : [approximate],
    ),
    tensors: tiny.tensors,
    kv,
    *batches(cache) {
      const [a, b] = [cache.create(), cache.create()];
      const ids = Array.from({ length: 46 }, (_, i) => (i * i * 5 + i) % GEOMETRY.vocab);
      yield batchOf(cache, [
        { sequence: a, ids },
        { sequence: b, ids: ids.slice(7, 9) },
      ]);
      yield batchOf(cache, [
        { sequence: a, ids: [1] },
        { sequence: b, ids: [2] },
      ]);
      cache.release(a);
      cache.release(b);
    },
  };
}

/** Two sequences that grow in turns, so that the pages of both lie scattered; then one token each, then three. */
function scatteredCase(): SplitCase {
  return {
    ...llamaCase({ dtype: 'f32', activations: 'f32', ropeLayout: 'pairs' }),
    kv: { kind: 'paged', pageSize: 16, debug: true },
    *batches(cache) {
      const both = [cache.create(), cache.create()];
      for (const count of [16, 16, 16, 1, 3]) {
        for (const sequence of count < 16 ? [] : both) {
          const ids = Array.from({ length: count }, (_, i) => (i * i * 5 + sequence.id) % GEOMETRY.vocab);
          yield batchOf(cache, [{ sequence, ids }]);
        }
        if (count === 16) continue;
        yield batchOf(
          cache,
          both.map((sequence) => ({ sequence, ids: Array.from({ length: count }, (_, i) => i) })),
        );
      }
      for (const sequence of both) {
        expect(cache.runs(sequence, 0).length, 'the pages are scattered').toBeGreaterThan(1);
        cache.release(sequence);
      }
    },
  };
}

/** Three pictures, for the kernels that only encoders have. */
function vitCase(): SplitCase {
  const vit = tinyVit(5);
  const tensors = vitTensors(vit.config, vit.tensors);
  return {
    dtype: 'f32',
    graph: optimize(buildVit(vit.config, tensors, 'f32')),
    tensors,
    *batches(cache) {
      yield picturesBatch(cache, vit, [1, 2, 3]);
    },
  };
}

/** Experts, whose few ops of their own are shared as others are. */
function expertCase(): SplitCase {
  const { graph, tensors } = buildExpertModel({
    seed: 4,
    dtype: 'f32',
    activations: 'f32',
    nExperts: 40,
    nChosen: 4,
    groups: { count: 2, chosen: 1, scoredBy: 2 },
    scoring: 'sigmoid',
    hasBias: true,
    isNormalized: true,
    scale: 2.5,
    ties: 'none',
    nLayers: 1,
    hiddenDim: 64,
  });
  return {
    dtype: 'f32',
    graph,
    tensors,
    *batches(cache) {
      yield batchOf(cache, [{ sequence: cache.create(), ids: Array.from({ length: 17 }, (_, i) => (i * i) % 23) }]);
    },
  };
}

/** The same with sums in f64. */
function wide(one: SplitCase): SplitCase {
  return { ...one, graph: withWideSums(one.graph) };
}

/** Logits of all runs of a case (and rows of norms that are rounded with them), of whole calls (null) or with `change`. */
async function logitsOf({ dtype, graph, tensors, batches, kv = CONTIGUOUS }: SplitCase, used: Set<string>) {
  const { kernels, build, arena } = await instantiateKernels(HOST, 'simd', [dtype]);
  const weights = await loadPackedWeights(graph, tensors, kernels, arena, {});
  const ropes = createRopeTables(graph.ropes, arena);
  ropes.reach(GEOMETRY.maxContext);
  const frames = createFrames(graph, arena, build, N_THREADS);
  const vocab = graph.nodes[graph.output]!.shape[1] as number;

  const byName = kernelsByName(kernels, build, [dtype]);
  const idOf = (module: KernelModule, name: string): number => [...byName.keys()].indexOf(`${module}.${name}`);

  return (change: Change | null): number[] => {
    const pool = plainPool(byName, N_THREADS, change ?? ((_, split) => split), used);
    const machineKernels = change === null ? kernels : splitKernels(kernels, build, [dtype], pool, idOf);
    const machine = createMachine({ graph, kernels: machineKernels, weights, ropes });
    forgetFreeMemory(arena);
    const cache = createKvCache(kv, { ...graph.kv, elementBytes: 4 }, GEOMETRY.maxContext, arenaStorage(arena));
    const logits: number[] = [];
    for (const batch of batches(cache)) {
      const frame = frames.open(batch, cache);
      for (const id of machine.steps) {
        runNode(machine, id, frame);
        // Rows of a norm whose codes are written are read by nobody else.
        const node = graph.nodes[id]!;
        if (!('codes' in node)) continue;
        const y = node.op === 'residual_norm' ? machine.halves.get(id)!.norm! : id;
        const nRows = node.shape[0] === 'R' ? batch.outRows.length : batch.ids.length;
        logits.push(...arena.f32(frame.addresses[y]!, nRows * machine.widths[y]!));
      }
      logits.push(...arena.f32(frame.addresses[graph.output]!, batch.outRows.length * vocab));
    }
    return logits;
  };
}

/** Of the first formats, with activations as they are and in blocks: every op of one value. */
const ACTS: readonly (readonly [ModelCase['act'], ModelCase['act']])[] = [
  ['gelu', 'gelu_tanh'],
  ['soft_cap', 'scale'],
  ['tanh', 'quick_gelu'],
  ['relu', 'relu'],
];

const CASES: readonly SplitCase[] = [
  vitCase(),
  expertCase(),
  scatteredCase(),
  llamaCase({ dtype: 'q8_0', activations: 'q8', ropeLayout: 'pairs', hasLayerNorms: true }),
  llamaCase({ dtype: 'f32', activations: 'f32', ropeLayout: 'pairs', approximate: 'cheap_silu' }),
  wide(llamaCase({ dtype: 'f32', activations: 'f32', ropeLayout: 'pairs', isPlain: true })),
  ...(['q8_0', 'q4_0'] as const).map((type) =>
    llamaCase({
      dtype: 'f32',
      activations: 'f32',
      ropeLayout: 'pairs',
      isPlain: true,
      ...(type === 'q4_0' ? { approximate: 'cheap_silu' } : { act: 'gelu_tanh' as const }),
      kv: { kind: 'lossy', type, debug: true },
    }),
  ),
  ...FORMATS.flatMap((dtype, i) =>
    (['f32', 'q8'] as const).map((activations) =>
      llamaCase({
        dtype,
        activations,
        ropeLayout: i % 2 === 0 ? 'pairs' : 'halves',
        isPlain: i % 4 >= 2,
        act: ACTS[i]?.[activations === 'f32' ? 0 : 1],
      }),
    ),
  ),
];

test.each(FORMATS)('products with %s weights have scratch for each thread, where the kernel takes it', (dtype) => {
  const { f32, q8 } = formatSplits(dtype);
  const nBytes = linearScratchBytes(dtype, 512);
  expect(f32!(1, 2, 3, 4, 5, 512, 7, 8, 9, 10, 11).scratch).toEqual({ at: 10, nBytes });
  expect(q8!(1, 2, 3, 4, 512, 6, 7, 8, 9, 10).scratch).toEqual({ at: 9, nBytes });
});

test('calls in shares have the bits of whole calls, and every wrong step of every rule is caught', async () => {
  const used = new Set<string>();
  const survivors: string[] = [];
  for (const one of CASES) {
    const usedHere = new Set<string>();
    const logits = await logitsOf(one, usedHere);
    const whole = logits(null);
    const seen = new Map<string, number[]>();
    const split = logits((name, how) => {
      seen.set(name, [...(seen.get(name) ?? []), how.countAt]);
      return how;
    });
    expect(firstDifference(split, whole)).toBeUndefined();
    for (const name of usedHere) {
      if (used.has(name)) continue;
      used.add(name);
      for (const countAt of new Set(seen.get(name))) {
        for (let i = 0; i < MOST_STEPS; i++) {
          let isChanged = false;
          const wrong = logits((kernel, how) => {
            if (kernel !== name || how.countAt !== countAt || how.steps[2 * i + 1] === undefined) return how;
            isChanged = true;
            return { ...how, steps: how.steps.map((step, at) => (at === 2 * i + 1 ? 0 : step)) };
          });
          if (isChanged && firstDifference(wrong, whole) === undefined) survivors.push(`${name} ${countAt} step ${i}`);
        }
      }
    }
  }
  expect(new Set(survivors)).toEqual(HARMLESS);
  const splitting = [
    ...Object.entries(coreSplits('simd')).flatMap(([name, rule]) => (rule === null ? [] : [`core.${name}`])),
    ...FORMATS.flatMap((dtype) =>
      Object.entries(formatSplits(dtype)).flatMap(([kind, rule]) => {
        const names: Partial<Record<string, string>> = FORMAT_MODULES[dtype];
        return rule === null || names[kind] === undefined ? [] : [`${dtype}.${names[kind]}`];
      }),
    ),
  ];
  expect(splitting.filter((name) => !used.has(name))).toEqual([]);
});
