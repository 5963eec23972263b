import type { Host } from '../../src/core/host.ts';
import { createExecutor, loadModel } from '../../src/engine/load_model.ts';
import type { ModelSource } from '../../src/engine/model_source.ts';
import { checkLoadOptions, type LoadOptions } from '../../src/engine/options.ts';
import type { Executor } from '../../src/exec/executor.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { buildLlama } from '../../src/models/llama.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { TINY_CONFIG, type TinyLlama, tinyLlama } from '../support/tiny_llama.ts';

/**
 * One program for every host: it runs the same models in every build and tier, and says what came out as SHA-256. All engines
 * of all hosts must say the same; no digest is written down anywhere.
 */
export type Digests = Readonly<Record<Engine, Readonly<Record<string, string>> | null>>;

/** naive is what defines the bits; null in Digests: this host does not validate that build, or has no threads. */
export const ENGINES = ['naive', 'simd', 'relaxed', 'threads'] as const;
export type Engine = (typeof ENGINES)[number];

const ENGINE_OPTIONS: Readonly<Record<Engine, LoadOptions>> = {
  naive: { executor: 'naive' },
  simd: { executor: 'wasm', kernels: 'simd' },
  relaxed: { executor: 'wasm', kernels: 'relaxed' },
  threads: { executor: 'wasm', threads: 2 },
};

const ACTIVATIONS: readonly Activations[] = ['q8', 'f32'];

/** Every weight format; between them both rope layouts, a rope over half of each head, one kv head and one per head. */
const TINY_MODELS: Readonly<Record<string, TinyLlama>> = {
  'tiny f32': tinyLlama({ seed: 1, dtype: 'f32', config: { ropeLayout: 'halves' } }),
  'tiny f16': tinyLlama({ seed: 2, dtype: 'f16', tied: true, config: { nKvHeads: 4 } }),
  'tiny bf16': tinyLlama({ seed: 3, dtype: 'bf16', config: { nKvHeads: 1, ropeDim: 4 } }),
  'tiny q8_0': tinyLlama({ seed: 4, dtype: 'q8_0', config: { ropeLayout: 'halves', ropeBase: 20 } }),
  'tiny q4_0': tinyLlama({ seed: 5, dtype: 'q4_0', tied: true, config: { hiddenDim: 96 } }),
};
/** Rows that are forgotten and rounded: kernels of their own. */
const LOSSY: Readonly<Record<string, KvOptions>> = {
  'window and q8_0 rows': { kind: 'lossy', window: 6, sinks: 2, type: 'q8_0' },
  'q4_0 rows': { kind: 'lossy', type: 'q4_0' },
};

/** A prompt longer than any tile, then tokens one by one. */
const TINY_STEPS = [37, 1, 1, 3];

/** Positions of the embedded model whose logits count, and tokens that are drawn from it. */
const N_POSITIONS = 16;
const N_SAMPLED = 8;

/**
 * open: the embedded model, anew for each load.  prompt: ids that it starts with.
 * Throws what loading and running throw; a relaxed build that the host cannot run is null.
 */
export async function computeDigests(
  open: () => Promise<ModelSource>,
  host: Host,
  prompt: readonly number[],
): Promise<Digests> {
  return {
    naive: await digestsOf('naive', open, host, prompt),
    simd: await digestsOf('simd', open, host, prompt),
    relaxed: (await hasRelaxed(host)) ? await digestsOf('relaxed', open, host, prompt) : null,
    threads: hasThreads(host) ? await digestsOf('threads', open, host, prompt) : null,
  };
}

function hasThreads({ threads }: Host): boolean {
  return typeof threads !== 'string' && threads.available > 1;
}

async function hasRelaxed(host: Host): Promise<boolean> {
  const module = await host.kernelModule('relaxed', 'core');
  return module !== null && (!(module instanceof Uint8Array) || WebAssembly.validate(module));
}

async function digestsOf(
  engine: Engine,
  open: () => Promise<ModelSource>,
  host: Host,
  prompt: readonly number[],
): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const activations of ACTIVATIONS) {
    const onNotice = (line: string): void => {
      throw new Error(`${engine}: ${line}`);
    };
    const options = { ...ENGINE_OPTIONS[engine], activations, onNotice };
    const name = (what: string): string => `${what}, ${activations} activations`;
    const model = await loadModel(await open(), host, { ...options, maxSeq: 64, prefillChunk: 7 });
    const ids = Array.from({ length: N_POSITIONS }, (_, i) => prompt[i % prompt.length]!);
    digests[name('embedded, logits')] = await sha256((await model.logits(ids)).data);
    const drawn: number[] = [];
    for await (const { id } of model.generate({ ids: prompt }, { maxTokens: N_SAMPLED, seed: 42, temperature: 0.9 })) {
      drawn.push(id);
    }
    digests[name('embedded, sampled ids')] = await sha256(Int32Array.from(drawn));
    await model.dispose();
    for (const [title, kv] of Object.entries(LOSSY)) {
      const lossy = await loadModel(await open(), host, { ...options, maxSeq: 64, prefillChunk: 7, kv });
      digests[name(`embedded, ${title}`)] = await sha256((await lossy.logits(ids)).data);
      await lossy.dispose();
    }
    for (const [title, tiny] of Object.entries(TINY_MODELS)) {
      const executor = await executorOf(tiny, host, options);
      digests[name(title)] = await sha256(runSteps(executor));
      executor.dispose();
    }
  }
  return digests;
}

async function executorOf(tiny: TinyLlama, host: Host, options: LoadOptions): Promise<Executor> {
  const { config, tensors } = tiny;
  const description = {
    architecture: 'llama',
    config,
    tensors,
    buildGraph: (activations: Activations) => buildLlama(config, tensors, activations),
  };
  return createExecutor(description, host, checkLoadOptions(options, TINY_CONFIG.maxContext));
}

/** The logits of all positions of one sequence, in steps. */
function runSteps(executor: Executor): Float32Array {
  const cache = executor.createCache(TINY_CONFIG.maxContext);
  const sequence = cache.create();
  const logits: number[] = [];
  let at = 0;
  for (const count of TINY_STEPS) {
    cache.reserve(sequence, count);
    const positions = Int32Array.from({ length: count }, (_, t) => at + t);
    const ids = positions.map((p) => (p * p + 3 * p) % TINY_CONFIG.vocab);
    const outRows = positions.map((p) => p - at);
    logits.push(...executor.run({ ids, positions, segments: [{ sequence, from: 0, count }], outRows }, cache).data);
    at += count;
  }
  cache.release(sequence);
  return Float32Array.from(logits);
}

/** Of the bytes as they lie in memory: every host of WebAssembly is little-endian. */
async function sha256(values: Float32Array | Float64Array | Int32Array): Promise<string> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
