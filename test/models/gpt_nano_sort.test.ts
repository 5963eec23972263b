import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { checkLoadOptions } from '../../src/engine/options.ts';
import type { Executor } from '../../src/exec/executor.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { openHfFolder } from '../../src/load/hf_folder.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { describeHfFolder, type ModelDescription } from '../../src/models/architectures.ts';
import { openNodeFolder } from '../../src/platform/node.ts';
import { softmaxWeights } from '../../src/sample/softmax.ts';
import { argmax } from '../support/architecture_cases.ts';
import { BUILDS, batchOf, executorOfGraph, type TierName, traceOf } from '../support/executors.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';

/**
 * A trained model of GPT-2's form and every intermediate tensor of a forward pass, as PyTorch computed it and in float64: see
 * the fixture's README for the names and the shapes.
 */

/** What is asked of the f32 tiers against the stored f32 values. */
const F32_LIMIT = 1e-5;

/** The stored name of a value of layer N, and its name in the graph. */
const LAYER_VALUES: Readonly<Record<string, string>> = {
  ln_1: 'attn_norm',
  'attn.qkv': 'attn_qkv_biased',
  'attn.q': 'q',
  'attn.k': 'k',
  'attn.v': 'v',
  'attn.scores': 'scores',
  'attn.weights': 'probs',
  'attn.context': 'heads',
  'attn.out': 'attn_output_biased',
  'attn.residual': 'attn_residual',
  ln_2: 'ffn_norm',
  'mlp.fc': 'ffn_up_biased',
  'mlp.gelu': 'ffn_gelu',
  'mlp.out': 'ffn_down_biased',
  'mlp.residual': 'ffn_residual',
  out: 'ffn_residual',
};
const VALUES: Readonly<Record<string, string>> = {
  'embed.tokens': 'embedding',
  'embed.positions': 'position_embedding',
  'embed.sum': 'embedding_sum',
  ln_f: 'output_norm',
  logits: 'logits',
  probs: 'logits', // after softmax, which is no part of the graph
};
/** Stored by head, then position: ours are by position, then head. */
const BY_HEAD = ['attn.q', 'attn.k', 'attn.v'];

interface Stored {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

async function readStored(name: string): Promise<Map<string, Stored>> {
  const file = await openSafetensors(bufferSource(name, readFileSync(fixture('gpt-nano-sort', name))));
  const stored = new Map<string, Stored>();
  for (const info of file.tensors.values()) {
    const bytes = new Uint8Array(info.nBytes);
    await readTensorBytes(info, 0, bytes);
    const kinds = { f32: Float32Array, f64: Float64Array, i32: Int32Array };
    stored.set(info.name, { shape: info.shape, data: new kinds[info.type as keyof typeof kinds](bytes.buffer) });
  }
  return stored;
}

describeWithFixture('gpt-nano-sort', 'gpt-nano-sort', () => {
  let model: ModelDescription;
  let stored: Map<string, Stored>;
  let stored64: Map<string, Stored>;
  beforeAll(async () => {
    model = await describeHfFolder(await openHfFolder(openNodeFolder(fixture('gpt-nano-sort'))));
    stored = await readStored('activations.safetensors');
    stored64 = await readStored('activations-f64.safetensors');
  });
  /** Without passes, so that every value has the name that the model gives it. */
  const asStated = (graph: Graph): Graph => graph;
  const open = (tier: TierName, passes = asStated): Promise<Executor> =>
    executorOfGraph(tier, model.buildGraph('f32'), model.tensors, passes);

  /** Largest distance from the stored values, by their names. */
  async function distances(tier: TierName, from: ReadonlyMap<string, Stored>): Promise<Map<string, number>> {
    const executor = await open(tier);
    const found = new Map<string, number>();
    const { shape, data: ids } = from.get('input_ids')!;
    const [nSequences, nTokens] = shape as [number, number];
    for (let i = 0; i < nSequences; i++) {
      const trace = traceOf(executor, Array.from(ids).slice(i * nTokens, (i + 1) * nTokens));
      for (const [name, one] of from) {
        if (name === 'input_ids') continue;
        const width = one.data.length / one.shape[0]!;
        const at = one.shape[0] === 1 ? 0 : i * width;
        const expected = Array.from(one.data).slice(at, at + width);
        const [, layer, part] = /^layers\.(\d+)\.(.+)$/.exec(name) ?? [];
        const ours = trace.get(part === undefined ? VALUES[name]! : `blk.${layer}.${LAYER_VALUES[part]!}`)!;
        const values = part !== undefined && BY_HEAD.includes(part) ? byHead(ours) : Array.from(ours.data);
        const computed = name === 'probs' ? rowsOf(values, N_LETTERS).flatMap(softmax) : values;
        expect(computed.length, name).toBe(expected.length);
        found.set(name, Math.max(found.get(name) ?? 0, largest(computed, expected)));
      }
    }
    executor.dispose();
    return found;
  }

  test.each(['naive', ...BUILDS.map((b) => `wasm ${b}` as const)] as const)(
    '%s has every stored activation',
    async (tier) => {
      const found = await distances(tier, stored);
      expect(found.size).toBe(stored.size - 1);
      for (const [name, distance] of found) expect(distance, name).toBeLessThanOrEqual(F32_LIMIT);
    },
  );

  /**
   * Two computations in float64, in other orders: each strays from the truth as f32 does, 2^29 times less, and its last rounding
   * is of the largest value.
   */
  test('naive64 has every activation of float64, to the last digits', async () => {
    const found = await distances('naive64', stored64);
    const f32 = await distances('naive', stored64);
    expect(found.size).toBe(stored64.size - 1);
    for (const [name, distance] of found) {
      const size = Array.from(stored64.get(name)!.data).reduce(
        (max, v) => (v === -Infinity ? max : Math.max(max, Math.abs(v))),
        0,
      );
      expect(distance, name).toBeLessThanOrEqual(2 * f32.get(name)! * 2 ** -29 + size * 2 ** -52);
    }
  });

  /**
   * All 729 inputs. Position 5 is the first to be asked, position 10 the last. Each is asked behind the sorted letters before it,
   * which is what greedy generation gives as long as every answer is right.
   */
  test('sorts every input', async () => {
    const executor = await open(`wasm ${BUILDS[0]!}`, optimize);
    const inputs = Array.from({ length: N_LETTERS ** LENGTH }, (_, n) =>
      Array.from({ length: LENGTH }, (__, i) => Math.floor(n / N_LETTERS ** i) % N_LETTERS),
    );
    const cache = executor.createCache(inputs.length * (2 * LENGTH - 1));
    const sorted = inputs.map((input) => [...input].sort((a, b) => a - b));
    const parts = inputs.map((input, i) => ({ sequence: cache.create(), ids: [...input, ...sorted[i]!.slice(0, -1)] }));
    const logits = rowsOf(Array.from(executor.run(batchOf(cache, parts), cache).data), N_LETTERS);
    const answers = inputs.map((_, i) => {
      const from = i * (2 * LENGTH - 1) + LENGTH - 1;
      return logits.slice(from, from + LENGTH).map(argmax);
    });
    expect(answers).toEqual(sorted);
    executor.dispose();
  });

  test('its positions end where the table does', () => {
    expect(model.config.maxContext).toBe(2 * LENGTH - 1);
    expect(() => checkLoadOptions({ maxSeq: 2 * LENGTH }, model.config.maxContext)).toThrow(/made for 11 positions/);
  });
});

/** What the model was trained for. */
const N_LETTERS = 3;
const LENGTH = 6;

function largest(a: readonly number[], b: readonly number[]): number {
  return a.reduce((max, v, i) => Math.max(max, b[i] === -Infinity ? 0 : Math.abs(v - b[i]!)), 0);
}

function rowsOf(values: readonly number[], width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, r) => values.slice(r * width, (r + 1) * width));
}

function byHead({ shape, data }: { readonly shape: readonly number[]; readonly data: ArrayLike<number> }): number[] {
  const [nTokens, nHeads, headDim] = shape as [number, number, number];
  const rows = rowsOf(Array.from(data), headDim);
  return Array.from({ length: nHeads }, (_, h) =>
    Array.from({ length: nTokens }, (__, t) => rows[t * nHeads + h]!),
  ).flat(2);
}

function softmax(row: readonly number[]): number[] {
  const weights = softmaxWeights(Float64Array.from(row), 1);
  const sum = weights.reduce((a, b) => a + b, 0);
  return Array.from(weights, (w) => w / sum);
}
