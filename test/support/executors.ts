import type { Host, KernelBuild } from '../../src/core/host.ts';
import type { Batch, Executor, TraceEvent } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { createWasmExecutor } from '../../src/exec/wasm/executor.ts';
import { sharedTwin } from '../../src/exec/wasm/shared_module.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { KvSequence } from '../../src/kvcache/cache.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { buildLlama } from '../../src/models/llama.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import type { TinyLlama } from './tiny_llama.ts';

/** Its clock has whole milliseconds: too coarse to choose forms of products by, which would take 25 ms of each load. */
export const HOST: Host = withKernelsKept({ ...createNodeHost(), now: () => Math.floor(performance.now()) });

/**
 * The host, whose kernel modules stay compiled: V8 compiles bytes again only when no module of the same bytes is left, and
 * thousands of executors are made here.
 */
function withKernelsKept(host: Host): Host {
  const kept = new Map<string, Promise<unknown>>();
  return {
    ...host,
    async kernelModule(build, name) {
      const module = await host.kernelModule(build, name);
      if (module instanceof Uint8Array && WebAssembly.validate(module) && !kept.has(`${build} ${name}`)) {
        kept.set(
          `${build} ${name}`,
          Promise.all([module, sharedTwin(module)].map((bytes) => WebAssembly.compile(bytes))),
        );
      }
      return module;
    },
  };
}

/** The kernel builds that this host can run; each is tested. */
export const BUILDS: readonly KernelBuild[] = await runnableBuilds();

async function runnableBuilds(): Promise<KernelBuild[]> {
  const found: KernelBuild[] = [];
  for (const build of ['simd', 'relaxed'] as const) {
    const module = await HOST.kernelModule(build, 'core');
    if (module instanceof Uint8Array && WebAssembly.validate(module)) found.push(build);
  }
  return found;
}

export type TierName = 'naive64' | 'naive' | `wasm ${KernelBuild}`;

export const F32_TIERS: readonly TierName[] = ['naive', ...BUILDS.map((b): TierName => `wasm ${b}`)];
export const TIERS: readonly TierName[] = ['naive64', ...F32_TIERS];

/** An executor over a tiny model; wasm tiers run the optimized graph unless told otherwise. Threads share the smallest calls. */
export async function executorOf(
  tier: TierName,
  model: TinyLlama,
  activations: Activations,
  passes: (graph: Graph) => Graph = optimize,
  nThreads = 1,
): Promise<Executor> {
  const graph = buildLlama(model.config, model.tensors, activations);
  return executorOfGraph(tier, graph, model.tensors, passes, nThreads);
}

/** The same over the graph of any model, whose tensors are given under the names that it reads. */
export async function executorOfGraph(
  tier: TierName,
  graph: Graph,
  tensors: ReadonlyMap<string, TensorInfo>,
  passes: (graph: Graph) => Graph = optimize,
  nThreads = 1,
): Promise<Executor> {
  if (tier === 'naive') return createNaiveExecutor(graph, await loadWeights(graph, tensors));
  if (tier === 'naive64') return createNaive64Executor(graph, await loadWeights(graph, tensors));
  const kernels = tier === 'wasm simd' ? 'simd' : 'relaxed';
  const threads = { nThreads, shareNs: 1 };
  return createWasmExecutor({ graph: passes(graph), tensors, host: HOST, kernels, threads });
}

/** Reserves room for `ids` behind what `sequence` has and makes the batch that runs them alone. */
export function batchOf(
  cache: ReturnType<Executor['createCache']>,
  parts: readonly { sequence: KvSequence; ids: readonly number[] }[],
): Batch {
  const ids: number[] = [];
  const positions: number[] = [];
  const segments: { sequence: KvSequence; from: number; count: number }[] = [];
  for (const part of parts) {
    const first = cache.length(part.sequence);
    cache.reserve(part.sequence, part.ids.length);
    segments.push({ sequence: part.sequence, from: ids.length, count: part.ids.length });
    ids.push(...part.ids);
    positions.push(...part.ids.map((_, t) => first + t));
  }
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    segments,
    outRows: Int32Array.from(ids, (_, t) => t),
  };
}

/** Logits of every position of one sequence, run in chunks of the given lengths (the last one takes the rest). */
export function logitsInChunks(executor: Executor, ids: readonly number[], chunks: readonly number[]): number[] {
  const cache = executor.createCache(ids.length);
  const sequence = cache.create();
  const all: number[] = [];
  for (let from = 0, i = 0; from < ids.length; i++) {
    const part = ids.slice(from, from + (chunks[i] ?? ids.length));
    all.push(...executor.run(batchOf(cache, [{ sequence, ids: part }]), cache).data);
    from += part.length;
  }
  cache.release(sequence);
  return all;
}

/** Every value of one run over `ids`, by name. */
export function traceOf(executor: Executor, ids: readonly number[]): Map<string, TraceEvent> {
  const cache = executor.createCache(ids.length);
  const sequence = cache.create();
  const events = new Map<string, TraceEvent>();
  executor.run(batchOf(cache, [{ sequence, ids }]), cache, (e) => events.set(e.name, { ...e, data: e.data.slice() }));
  cache.release(sequence);
  return events;
}

/** The first place where the bits differ, as text; undefined when there is none. Any NaN equals any NaN, -0 differs from 0. */
export function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): string | undefined {
  if (a.length !== b.length) return `lengths ${a.length} and ${b.length}`;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return `element ${i}: ${a[i]} and ${b[i]}`;
  return undefined;
}
