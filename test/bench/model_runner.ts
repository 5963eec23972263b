import type { DType } from '../../src/core/dtype.ts';
import type { KernelBuild } from '../../src/core/host.ts';
import { openModel } from '../../src/engine/load_model.ts';
import { DEFAULT_PREFILL_CHUNK } from '../../src/engine/options.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createWasmExecutor } from '../../src/exec/wasm/executor.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { RandomShapeName } from '../../src/load/random_shape.ts';
import { createNodeHost, openNodeModel } from '../../src/platform/node.ts';
import type { Contender } from './measure.ts';
import { randomModel } from './random_model.ts';

/** Positions that are in the cache when decoding is measured. */
const DECODE_AT = 64;
const MAX_SEQ = 1024;
/** Any ids do: a random model's rows cost the same. */
const FIRST_ID = 300;

/** An executor with a random model, and what can be timed on it. */
export interface ModelRunner {
  readonly executor: Executor;
  /** Bytes of weights that one decode step reads. */
  readonly gb: number;
  /** Reads nTokens of a prompt, in the engine's chunks, with logits of the last one. */
  prefill(name: string, nTokens: number): Contender;
  /** One token more after DECODE_AT others, forgotten again. */
  decode(name: string): Contender;
}

export interface RunnerOptions {
  readonly shape: RandomShapeName;
  readonly dtype: DType;
  readonly tier: 'naive' | KernelBuild | 'auto';
  /** All of them unless said. */
  readonly passes?: (graph: Graph) => Graph;
}

/** Both tiers run the optimized graph: the plain one computes logits that nobody reads, which would flatter the fast tier. */
export async function createRunner({ shape, dtype, tier, passes = optimize }: RunnerOptions): Promise<ModelRunner> {
  const opened = await openModel(await openNodeModel(await randomModel(shape, dtype)));
  const { buildGraph, tensors } = opened.description;
  const graph = passes(buildGraph('q8'));
  const executor =
    tier === 'naive'
      ? createNaiveExecutor(graph, await loadWeights(graph, tensors))
      : await createWasmExecutor({ graph, tensors, host: createNodeHost(), kernels: tier });
  await opened.close();
  const cache = executor.createCache(MAX_SEQ);

  const append = (sequence: ReturnType<typeof cache.create>, count: number, wantsLogits: boolean): void => {
    const from = cache.length(sequence);
    cache.reserve(sequence, count);
    executor.run(
      {
        ids: Int32Array.from({ length: count }, (_, t) => FIRST_ID + t),
        positions: Int32Array.from({ length: count }, (_, t) => from + t),
        segments: [{ sequence, from: 0, count }],
        outRows: Int32Array.from(wantsLogits ? [count - 1] : []),
      },
      cache,
    );
  };
  const appendAll = (sequence: ReturnType<typeof cache.create>, nTokens: number): void => {
    for (let from = 0; from < nTokens; from += DEFAULT_PREFILL_CHUNK) {
      const count = Math.min(DEFAULT_PREFILL_CHUNK, nTokens - from);
      append(sequence, count, from + count === nTokens);
    }
  };
  return {
    executor,
    gb: executor.memory.weightBytes / 1e9,
    prefill: (name, nTokens) => ({
      name,
      run() {
        const sequence = cache.create();
        appendAll(sequence, nTokens);
        cache.release(sequence);
      },
    }),
    decode(name) {
      const sequence = cache.create();
      appendAll(sequence, DECODE_AT);
      return {
        name,
        run() {
          append(sequence, 1, true);
          cache.truncate(sequence, DECODE_AT);
        },
      };
    },
  };
}
