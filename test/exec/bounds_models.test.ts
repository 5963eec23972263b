import { describe, expect, test } from 'vitest';
import { openModel } from '../../src/engine/load_model.ts';
import { type BoundsReport, boundedRun, joinReports } from '../../src/exec/bounds.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createWasmExecutor } from '../../src/exec/wasm/executor.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { openNodeModel } from '../../src/platform/node.ts';
import { batchOf, HOST } from '../support/executors.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';

/** Law 4 on real models: every value of a run lies within its bound of float64 on the same inputs. */

const TEXT = 'Once upon a time, there';
/** Tokens of the prompt that run at once; the rest follow one by one, and attend to the cache. */
const PREFILL = 3;

async function boundsOf(path: string, tier: 'naive' | 'wasm', activations: Activations): Promise<BoundsReport> {
  const { description, tokenizer, close } = await openModel(await openNodeModel(path));
  try {
    const plain = description.buildGraph(activations);
    const weights = await loadWeights(plain, description.tensors);
    const graph = optimize(plain);
    const executor: Executor =
      tier === 'naive'
        ? createNaiveExecutor(plain, weights)
        : await createWasmExecutor({ graph, tensors: description.tensors, host: HOST, kernels: 'auto' });
    const ids = tokenizer.encode(TEXT);
    const cache = executor.createCache(ids.length);
    const sequence = cache.create();
    const parts = [ids.slice(0, PREFILL), ...ids.slice(PREFILL).map((id) => [id])];
    const reports = parts.map((part) =>
      boundedRun(executor, weights, batchOf(cache, [{ sequence, ids: part }]), cache),
    );
    executor.dispose();
    return joinReports(reports);
  } finally {
    await close();
  }
}

const FORMS = [
  ['naive', 'q8'],
  ['naive', 'f32'],
  ['wasm', 'q8'],
] as const;

function describeBounds(path: string): void {
  test.each(FORMS)('%s, activations %s', async (tier, activations) => {
    const { ops, firstOutside } = await boundsOf(path, tier, activations);
    expect(firstOutside).toBeUndefined();
    for (const { op, worstRatio } of ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
    expect(ops.map((line) => line.op)).toEqual(expect.arrayContaining(['attend_mix', 'rms_norm', 'softmax']));
  });
}

describe('embedded', () => describeBounds('embedded'));

describeWithFixture('stories260k', 'stories260K, f32', () => {
  describeBounds(fixture('stories260k', 'stories260K-f32.gguf'));
});

describeWithFixture('tinystories-656k', 'tinystories-656k, q4_0', () => {
  describeBounds(fixture('tinystories-656k', 'tinystories-656k-q4_0.gguf'));
});
