import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import type { Executor } from '../../src/exec/executor.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { batchOf, executorOf, F32_TIERS, firstDifference } from '../support/executors.ts';
import { tinyLlama } from '../support/tiny_llama.ts';

/**
 * Runs that cross every size at which a fast path does something else, which short random prompts never reach:
 *
 *   128 tokens in a run     a block of tokens of linear_f32, f16 and bf16 (64 in the q8 kernels)
 *   512 columns             a block of k of the same kernels: ffn_down has 544
 *   256 positions           the first capacity of a cache, which then grows and is copied, and the first rope table
 *   1, 2, 3, 4, 5, 8 tokens tiles of tokens and the rows that are left
 *
 * Two sequences of different age share the later runs.
 */
const CONFIG = { nLayers: 1, dim: 64, hiddenDim: 544, vocab: 37, maxContext: 400 };
const PREFILL = [131, 128, 65] as const;
const DECODE = [1, 2, 3, 4, 5, 8, 1] as const;
/** Tokens of the second sequence, which joins after the prefill of the first. */
const OTHER = [7, 1, 1, 3, 1, 66, 1] as const;

const FORMS: readonly (readonly [DType, Activations])[] = [
  ['f32', 'f32'],
  ['f16', 'f32'],
  ['bf16', 'f32'],
  ['q8_0', 'f32'],
  ['q8_0', 'q8'],
  ['q4_0', 'f32'],
  ['q4_0', 'q8'],
];

/** The logits of all positions of all runs. */
function logitsOf(executor: Executor, cache = executor.createCache(CONFIG.maxContext)): number[] {
  const [first, other] = [cache.create(), cache.create()];
  let next = 0;
  const ids = (count: number) => Array.from({ length: count }, () => (next++ * 29) % CONFIG.vocab);
  const logits: number[] = [];
  const run = (parts: Parameters<typeof batchOf>[1]) => {
    for (const logit of executor.run(batchOf(cache, parts), cache).data) logits.push(logit);
  };
  for (const count of PREFILL) run([{ sequence: first, ids: ids(count) }]);
  DECODE.forEach((count, i) => {
    run([
      { sequence: first, ids: ids(count) },
      { sequence: other, ids: ids(OTHER[i]!) },
    ]);
  });
  return logits;
}

describe('equal bits over long runs', () => {
  test.each(FORMS)('%s weights, %s activations: wasm has the bits of naive', async (dtype, form) => {
    const model = tinyLlama({ seed: 11, dtype, config: CONFIG });
    const runs: number[][] = [];
    for (const tier of F32_TIERS) {
      const executor = await executorOf(tier, model, form);
      runs.push(logitsOf(executor));
      executor.dispose();
    }
    const nRows = [...PREFILL, ...DECODE, ...OTHER].reduce((a, b) => a + b, 0);
    expect(runs[0]).toHaveLength(nRows * CONFIG.vocab);
    expect(runs[0]!.every(Number.isFinite)).toBe(true);
    for (const [i, tier] of F32_TIERS.entries()) {
      expect(firstDifference(runs[i]!, runs[0]!), tier).toBeUndefined();
    }
  });

  test('and a cache that loses one row when it grows is caught', async () => {
    const executor = await executorOf('naive', tinyLlama({ seed: 11, dtype: 'f32', config: CONFIG }), 'f32');
    const cache = executor.createCache(CONFIG.maxContext);
    let growths = 0;
    const forgetful: KvCache = {
      ...cache,
      reserve(sequence, count) {
        const before = cache.bytesInUse;
        cache.reserve(sequence, count);
        if (cache.bytesInUse === before) return;
        growths++;
        cache.writeK(sequence, 0, 0, new Float32Array(executor.graph.kv.nKvHeads * executor.graph.kv.headDim));
      },
    };
    expect(firstDifference(logitsOf(executor, forgetful), logitsOf(executor))).toBeDefined();
    expect(growths).toBe(1);
  });
});
