import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { argmax, distanceOf, fileOfCase, PROMPTS, spreadOf } from '../support/architecture_cases.ts';
import { EXACT_SHARE, mostShareOf } from '../support/architecture_goldens.ts';
import { ggufLora, type LoraWeights, randomPair } from '../support/lora_cases.ts';
import { type EngineProcess, startEngine } from './engine_process.ts';

/** Adapters in GGUF beside llama.cpp's: two at once, each with a scale, on random models; float64 is the truth. */

const folder = mkdtempSync(join(tmpdir(), 'glassformer-peers-'));
let engine: EngineProcess | undefined;
afterAll(async () => {
  await engine?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The matrices of the first layer and of the last: names that llama.cpp takes adapters for. */
const ADAPTED = /^blk\.(0|1)\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$/;

const CASES: readonly (readonly [RandomArchitectureName, string])[] = [
  ['llama', 'blk.0.attn_q.weight'],
  ['qwen2', 'blk.1.ffn_down.weight'],
  ['gptneox', 'blk.0.attn_qkv.weight'],
];

test.each(CASES)('%s', async (architecture, known) => {
  const bytes = fileOfCase({ architecture, layout: 'own kv heads', format: 'f32', seed: 7 });
  const { tensors } = await openGguf(bufferSource('model.gguf', bytes));
  const adapterOf = (rank: number, seed: number): Map<string, LoraWeights> => {
    const names = [...tensors.keys()].filter((name) => ADAPTED.test(name));
    expect(names).toContain(known);
    return new Map(
      names.map((name, i) => {
        const [out, nIn] = tensors.get(name)!.shape as [number, number];
        return [name, randomPair(rank, nIn, out, seed + i)];
      }),
    );
  };
  const adapters = [
    { bytes: ggufLora(adapterOf(4, 1), { architecture, alpha: 8 }), scale: 0.5 },
    { bytes: ggufLora(adapterOf(3, 50), { architecture, alpha: 2, format: 'f16' }), scale: -1 },
  ];
  const logitsOf = async (options: LoadOptions): Promise<ArrayLike<number>[]> => {
    const source = bufferSource('model.gguf', bytes);
    await using model = await loadModel({ kind: 'file', source }, createNodeHost(), options);
    const rows: ArrayLike<number>[] = [];
    for (const ids of PROMPTS) {
      using session = model.createSession();
      rows.push((await session.append(ids)).data);
    }
    return rows;
  };
  const lora = adapters.map(({ bytes: file, scale }) => {
    return { open: async () => ({ kind: 'file' as const, source: bufferSource('adapter.gguf', file) }), scale };
  });

  const files = adapters.map(({ bytes: file, scale }, i) => {
    const filePath = join(folder, `${architecture}-${i}.lora.gguf`);
    writeFileSync(filePath, file);
    return { filePath, scale };
  });
  const modelPath = join(folder, `${architecture}.gguf`);
  writeFileSync(modelPath, bytes);
  const open = { model: modelPath, threads: 1, maxSeq: 128, lora: files };
  if (engine === undefined) engine = await startEngine('llama_cpp', open);
  else await engine.open(open);
  const theirs: (readonly number[])[] = [];
  for (const ids of PROMPTS) theirs.push(await engine.logits(ids));

  const truth = await logitsOf({ executor: 'naive64', lora });
  const spread = spreadOf(truth);
  const plain = await logitsOf({ executor: 'naive64' });
  expect(distanceOf(plain, truth) / spread, 'the adapters change what the model says').toBeGreaterThan(0.01);
  const ours = [await logitsOf({ lora }), await logitsOf({ lora, loraMerge: true })];
  const shares = [theirs, ...ours].map((rows) => distanceOf(rows, truth) / spread);
  expect(shares[0], 'llama.cpp computes this model').toBeLessThanOrEqual(mostShareOf(architecture));
  expect(shares[1], 'beside the model').toBeLessThanOrEqual(EXACT_SHARE);
  expect(shares[2], 'merged').toBeLessThanOrEqual(EXACT_SHARE);
  const wide = await logitsOf({ lora, activations: 'f32', sums: 'f64' });
  expect(distanceOf(wide, truth), 'sums in f64 are no further than llama.cpp').toBeLessThanOrEqual(
    distanceOf(theirs, truth),
  );
  for (const rows of ours) expect(rows.map(argmax), 'top tokens').toEqual(truth.map(argmax));
  // Theirs are reported: two tokens of a random model can be nearer to each other than llama.cpp is to the truth.
  const nSame = theirs.filter((row, r) => argmax(row) === argmax(truth[r]!)).length;
  const [peer, beside, merged] = shares.map((share) => share.toExponential(1));
  process.stdout.write(
    `${architecture}: distance to float64: llama.cpp ${peer} (top-1 ${nSame}/${PROMPTS.length}), beside ${beside}, merged ${merged}\n`,
  );
});
