import { ConfigError, KernelError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Graph } from '../../graph/ir.ts';
import type { KvCache } from '../../kvcache/cache.ts';
import { createKvCache } from '../../kvcache/create.ts';
import { CONTIGUOUS } from '../../kvcache/options.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import type { ReadOptions } from '../../load/weights.ts';
import { type Batch, checkBatch, checkCacheForm, type Executor, type Logits, nIds, type Trace } from '../executor.ts';
import { stepsOf } from '../plan.ts';
import { arenaStorage } from './arena_storage.ts';
import { createFrames } from './frame.ts';
import { instantiateKernels, type LoadedKernels, type ThreadChoice } from './instantiate.ts';
import { createMachine } from './machine.ts';
import { checkMemoryNeed, type MemoryNeed, memoryNeed, type RunLimits } from './memory_need.ts';
import { loadPackedWeights, matrixFormats } from './packed_weights.ts';
import { createRopeTables } from './rope_tables.ts';
import { runNode } from './run_node.ts';
import { traceNode } from './trace_node.ts';

export interface WasmExecutorOptions {
  readonly graph: Graph;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly host: Host;
  readonly kernels: 'auto' | 'simd' | 'relaxed';
  readonly read?: ReadOptions;
  /** How long runs may be. With it all memory is taken before a weight is read, without it as it is needed. */
  readonly limits?: RunLimits;
  /** Called before a weight is read. */
  readonly onMemoryNeed?: ((need: MemoryNeed) => void) | undefined;
  readonly threads?: ThreadChoice;
}

/**
 * The fast tier: the same graph, about one kernel call a node, all numbers in one WASM memory. Same bits as naive.
 * Loads the weights. Throws KernelError when no kernel build can run here, CapacityError when memory does not suffice, and what reading throws.
 */
export async function createWasmExecutor(o: WasmExecutorOptions): Promise<Executor> {
  const { graph } = o;
  // Before anything else: a model that cannot fit is refused at once.
  if (o.limits !== undefined) checkMemoryNeed(graph, memoryNeed(graph, o.limits), undefined, o.limits.kv);
  const loaded = await instantiateKernels(o.host, o.kernels, matrixFormats(graph), o.threads);
  try {
    return await loadInto(loaded, o);
  } catch (e) {
    loaded.pool?.dispose();
    throw e;
  }
}

/** Takes the memory, reads the weights, and puts the executor together. */
async function loadInto({ kernels, build, arena, pool }: LoadedKernels, o: WasmExecutorOptions): Promise<Executor> {
  const { graph } = o;
  const nThreads = pool?.nThreads ?? 1;
  if (o.limits !== undefined) {
    const need = memoryNeed(graph, { ...o.limits, nThreads }, build);
    o.onMemoryNeed?.(need);
    arena.reserve(need.totalBytes);
  }
  const weights = await loadPackedWeights(graph, o.tensors, kernels, arena, o.read ?? {});
  const ropes = createRopeTables(graph.ropes, arena);
  const frames = createFrames(graph, arena, build, nThreads);
  const machine = createMachine({ graph, kernels, weights, ropes });
  const vocab = graph.nodes[graph.output]!.shape[1] as number;
  const idsEnd = nIds(graph);
  const caches = new WeakSet<KvCache>();
  let isDisposed = false;

  return {
    tier: 'wasm',
    graph,
    kernels: `wasm ${build}`,
    threads: nThreads,
    get memory() {
      return { weightBytes: weights.nBytes, scratchBytes: frames.nBytes };
    },
    createCache(maxSeq, options = CONTIGUOUS) {
      checkCacheForm(graph, options);
      const cache = createKvCache(options, { ...graph.kv, elementBytes: 4 }, maxSeq, arenaStorage(arena));
      caches.add(cache);
      return cache;
    },
    run(batch: Batch, cache: KvCache, trace?: Trace): Logits {
      if (isDisposed) throw new KernelError('executor: it is disposed; load the model again');
      // Kernels read rows by address: those of another memory would be numbers out of nowhere.
      if (!caches.has(cache)) {
        throw new ConfigError('kv cache: it lies in another memory than this executor; make it with its createCache');
      }
      pool?.check();
      checkBatch(batch, cache, idsEnd);
      ropes.reach(batch.positions.reduce((a, b) => Math.max(a, b), 0) + 1);
      const frame = frames.open(batch, cache);
      // A cache that asks what was attended to asks the last layer, too.
      const isAllNeeded = batch.outRows.length > 0 || cache.attended !== undefined;
      if (trace === undefined) {
        for (const id of isAllNeeded ? machine.steps : machine.cacheSteps) runNode(machine, id, frame);
      } else {
        // Every value is told, views too.
        const steps = new Set(machine.steps);
        for (const id of stepsOf(graph)) {
          if (steps.has(id)) runNode(machine, id, frame);
          traceNode(graph, machine.places, id, frame, arena, trace);
        }
      }
      return { vocab, data: arena.f32(frame.addresses[graph.output]!, batch.outRows.length * vocab).slice() };
    },
    dispose() {
      if (!isDisposed) {
        pool?.dispose();
        arena.dispose();
      }
      isDisposed = true;
    },
  };
}
