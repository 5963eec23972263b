import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALL_DTYPES, type DType } from '../../src/core/dtype.ts';
import { RANDOM_ARCHITECTURES, type RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { type EngineProcess, startEngine } from './engine_process.ts';

/** The files of make-random in llama.cpp: another reader of the format, and another implementation of the architecture. */

const SHAPE = {
  nLayers: 2,
  dim: 256,
  nHeads: 4,
  nKvHeads: 2,
  hiddenDim: 512,
  vocab: 400,
  maxContext: 512,
  tied: false,
};
const PROMPT = [1, 77, 130, 299, 300, 45, 12, 399];
const N_GREEDY = 24;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'glassformer-peers-'));
});

type EngineName = 'glassformer' | 'llama_cpp';
const engines = new Map<EngineName, EngineProcess>();
afterAll(async () => {
  for (const engine of engines.values()) await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

/** One process of each engine, which opens one file after the other. */
async function opened(name: EngineName, model: string): Promise<EngineProcess> {
  const options = { model, threads: 1, maxSeq: 256 };
  const running = engines.get(name);
  if (running !== undefined) {
    await running.open(options);
    return running;
  }
  const engine = await startEngine(name, options);
  engines.set(name, engine);
  return engine;
}

function write(format: DType, seed: number, architecture: RandomArchitectureName = 'llama'): string {
  const path = join(folder, `${architecture}-${format}-${seed}.gguf`);
  const model = randomGguf({ architecture, shape: SHAPE, format, seed });
  writeFileSync(path, Buffer.concat(Array.from(model.chunks(), (chunk) => chunk.slice())));
  return path;
}

interface Run {
  /** After the prompt. */
  readonly logits: readonly number[];
  readonly greedy: readonly number[];
}

async function run(name: EngineName, model: string, nGreedy = 0): Promise<Run> {
  const engine = await opened(name, model);
  const logits = await engine.logits(PROMPT);
  const greedy: number[] = [];
  for (let last = logits; greedy.length < nGreedy; last = await engine.logits([...PROMPT, ...greedy])) {
    greedy.push(last.indexOf(Math.max(...last)));
  }
  return { logits, greedy };
}

function distance(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return Math.hypot(...a.map((v, i) => v - b[i]!));
}

describe.each(Object.keys(RANDOM_ARCHITECTURES) as RandomArchitectureName[])('%s', (architecture) => {
  test('f32: the same greedy tokens, and logits that differ by less than weights in f16 change them', async () => {
    const ours = await run('glassformer', write('f32', 1, architecture), N_GREEDY);
    const theirs = await run('llama_cpp', write('f32', 1, architecture), N_GREEDY);
    expect(theirs.greedy).toEqual(ours.greedy);
    expect(new Set(ours.greedy).size).toBeGreaterThan(2);
    const rounded = await run('glassformer', write('f16', 1, architecture));
    expect(distance(theirs.logits, ours.logits)).toBeLessThan(distance(rounded.logits, ours.logits));
  });
});

/** Formats of single vectors or of intermediate results, of which llama.cpp takes no model. */
const NO_MODELS: readonly DType[] = ['q8_1', 'q8_k'];
const FORMATS = ALL_DTYPES.filter((name) => !NO_MODELS.includes(name));

test.each(FORMATS)('%s: llama.cpp reads the file, and its logits are those of this seed', async (format) => {
  const [theirs, another] = [await run('llama_cpp', write(format, 1)), await run('llama_cpp', write(format, 2))];
  for (const logit of theirs.logits) expect(Number.isFinite(logit)).toBe(true);
  expect(distance(theirs.logits, another.logits)).toBeGreaterThan(0);
  const ours = await run('glassformer', write(format, 1));
  expect(distance(theirs.logits, ours.logits)).toBeLessThan(distance(another.logits, ours.logits));
});

test('an engine that does not open a file says why', async () => {
  const open = { model: join(folder, 'missing.gguf'), threads: 1, maxSeq: 256 };
  await expect(startEngine('llama_cpp', open)).rejects.toThrow(/missing\.gguf/);
  await expect(startEngine('glassformer', open)).rejects.toThrow(/missing\.gguf.*there is no such file/);
});
