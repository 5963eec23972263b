import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DType } from '../../../src/core/dtype.ts';
import { UnsupportedError } from '../../../src/core/errors.ts';
import { bufferSource, type KernelBuild, type KernelModule } from '../../../src/core/host.ts';
import { type Batch, checkCacheForm } from '../../../src/exec/executor.ts';
import { arenaStorage } from '../../../src/exec/wasm/arena_storage.ts';
import { createFrames } from '../../../src/exec/wasm/frame.ts';
import { instantiateKernels } from '../../../src/exec/wasm/instantiate.ts';
import { createMachine } from '../../../src/exec/wasm/machine.ts';
import { loadPackedWeights, matrixFormats } from '../../../src/exec/wasm/packed_weights.ts';
import { createRopeTables } from '../../../src/exec/wasm/rope_tables.ts';
import { runNode } from '../../../src/exec/wasm/run_node.ts';
import { splitKernels } from '../../../src/exec/wasm/split_kernels.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { withSums } from '../../../src/graph/wide_sums.ts';
import type { KvCache, KvSequence } from '../../../src/kvcache/cache.ts';
import { createKvCache } from '../../../src/kvcache/create.ts';
import type { KvOptions } from '../../../src/kvcache/options.ts';
import { openModelFile } from '../../../src/load/open_model.ts';
import { RANDOM_ARCHITECTURES, type RandomArchitectureName } from '../../../src/load/random_architectures.ts';
import { randomGguf } from '../../../src/load/random_gguf.ts';
import { describeGguf } from '../../../src/models/architectures.ts';
import type { Activations, Sums } from '../../../src/ops/linear.ts';
import { BUILDS, batchOf, HOST } from '../../support/executors.ts';
import { guardFrame, REGIONS, type Region } from '../../support/guarded_frame.ts';
import { kernelsByName, plainPool } from '../../support/plain_pool.ts';

/** Scratch is enough for what runs: no kernel writes beyond its own value or the regions that a frame has. */

/** Plans round the positions of a sequence up to this: at it there is no slack. */
const POSITIONS = 256;

interface Case {
  readonly architecture: RandomArchitectureName;
  readonly format: DType;
  readonly numbers: readonly [Activations, Sums];
  readonly nKvHeads: number;
  readonly isPlain: boolean;
  readonly build: KernelBuild;
  readonly nThreads: number;
  readonly kv: KvOptions;
  /** Tokens of each sequence, in one run after another; the last one ends with POSITIONS. */
  readonly runs: readonly (readonly number[])[];
  readonly isEveryRowWanted: boolean;
}

const FORMATS = ['f32', 'f16', 'q8_0', 'q4_0', 'q5_1', 'q4_k', 'q6_k'] as const satisfies readonly DType[];

const CACHES: readonly KvOptions[] = [
  { kind: 'contiguous' },
  { kind: 'paged', pageSize: 16 },
  { kind: 'paged', pageSize: 48 },
  { kind: 'lossy', type: 'q8_0' },
  { kind: 'lossy', type: 'q4_0', window: 100, sinks: 3 },
  { kind: 'lossy', type: 'q8_0', recent: 70 },
  { kind: 'evict', by: 'importance', budget: 130 },
];

const NUMBERS: Case['numbers'][] = [
  ['q8', 'f32'],
  ['f32', 'f32'],
  ['f32', 'f64'],
];

/** Fewer than a tile of attention, one, and more; before the last run also more than the products take at a time. */
const FEW = [1, 2, 3, 4, 5, 9, 15, 16, 17] as const;
const MANY = 130;

const anyCase: fc.Arbitrary<Case> = fc.record({
  architecture: fc.constantFrom(...(Object.keys(RANDOM_ARCHITECTURES) as RandomArchitectureName[])),
  format: fc.constantFrom(...FORMATS),
  numbers: fc.constantFrom(...NUMBERS),
  nKvHeads: fc.constantFrom(1, 4, 8),
  isPlain: fc.boolean(),
  build: fc.constantFrom(...BUILDS),
  nThreads: fc.constantFrom(1, 3),
  kv: fc.constantFrom(...CACHES),
  runs: fc.integer({ min: 1, max: 4 }).chain((n) => {
    const counts = (of: readonly number[]) => fc.array(fc.constantFrom(...of), { minLength: n, maxLength: n });
    return fc.tuple(counts([...FEW, MANY]), counts(FEW));
  }),
  isEveryRowWanted: fc.boolean(),
});

async function trespassesOf(one: Case, shrink?: (region: Region, nBytes: number) => number): Promise<string[]> {
  const { nThreads, runs } = one;
  const shape = { nLayers: 1, dim: 256, nHeads: 8, nKvHeads: one.nKvHeads, hiddenDim: 768, tied: true, vocab: 260 };
  const { architecture, format } = one;
  const model = randomGguf({ architecture, format, seed: 3, shape: { ...shape, maxContext: POSITIONS } });
  const bytes = Buffer.concat(Array.from(model.chunks(), (part) => part.slice()));
  const described = await describeGguf(await openModelFile(bufferSource('m.gguf', bytes)));
  const [activations, sums] = one.numbers;
  const graph = optimize(
    withSums(described.buildGraph(activations, POSITIONS), sums),
    one.isPlain ? ['fuse_attend'] : [],
  );
  const formats = [...matrixFormats(graph)];
  const { kernels, build, arena } = await instantiateKernels(HOST, one.build, new Set(formats));
  const weights = await loadPackedWeights(graph, described.tensors, kernels, arena, {});
  const ropes = createRopeTables(graph.ropes, arena);
  ropes.reach(POSITIONS);
  const byName = kernelsByName(kernels, build, formats);
  const idOf = (module: KernelModule, name: string): number => [...byName.keys()].indexOf(`${module}.${name}`);
  const split = splitKernels(kernels, build, formats, plainPool(byName, nThreads), idOf);
  const machine = createMachine({ graph, kernels: nThreads === 1 ? kernels : split, weights, ropes });
  const frames = createFrames(graph, arena, build, nThreads);
  checkCacheForm(graph, one.kv);
  const cache = createKvCache(one.kv, { ...graph.kv, elementBytes: 4 }, POSITIONS, arenaStorage(arena));

  const sequences = runs[0]!.map(() => cache.create());
  const missing = sequences.map((_, i) => POSITIONS - runs.reduce((n, counts) => n + counts[i]!, 0));
  while (missing.some((n) => n > 0)) {
    sequences.forEach((sequence, i) => {
      missing[i]! -= grow(cache, sequence, Math.min(16, missing[i]!));
    });
  }
  const found: string[] = [];
  for (const counts of runs) {
    const parts = counts.map((n, i) => {
      const sequence = sequences[i]!;
      const ids = Array.from({ length: Math.min(n, cache.most(sequence)) }, (_, t) => (t * t + i) % 250);
      return { sequence, ids };
    });
    const batch = batchOf(cache, parts);
    const wanted: Batch = one.isEveryRowWanted ? batch : { ...batch, outRows: Int32Array.of(batch.ids.length - 1) };
    const guarded = guardFrame(frames.open(wanted, cache), graph, arena, build, nThreads, shrink);
    for (const id of machine.steps) {
      runNode(machine, id, guarded.frame);
      const trespass = guarded.trespass(id);
      if (trespass !== undefined) found.push(trespass);
      if (found.length > 0) return found;
    }
    guarded.free();
  }
  return found;
}

/** Rows of zeros, as if they had been computed: in turns they lie scattered over the pages of all sequences. */
function grow(cache: KvCache, sequence: KvSequence, most: number): number {
  const n = Math.min(most, cache.most(sequence));
  if (n === 0) return 0;
  const from = cache.length(sequence);
  cache.reserve(sequence, n);
  const { nLayers, nKvHeads, headDim } = cache.layout;
  const rows = new Float32Array(n * nKvHeads * headDim);
  for (let layer = 0; layer < nLayers; layer++) {
    cache.writeK(sequence, layer, from, rows);
    cache.writeV(sequence, layer, from, rows);
  }
  return n;
}

test('no kernel writes beyond its value and the scratch that a frame has', async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, async (one) => {
      const found = await trespassesOf(one).catch((e: unknown) => {
        fc.pre(!(e instanceof UnsupportedError)); // a form of the cache that the model cannot have
        throw e;
      });
      expect(found).toEqual([]);
    }),
    { seed: 11, numRuns: 40 },
  );
});

/** A case in which each region is written. */
const USES: Readonly<Record<Region, Partial<Case>>> = {
  quantized: {},
  panel: {},
  scores: { kv: { kind: 'paged', pageSize: 16 } },
  runs: { kv: { kind: 'paged', pageSize: 16 } },
  words: { architecture: 'mixtral' },
  experts: { architecture: 'mixtral' },
  tile: { kv: { kind: 'lossy', type: 'q8_0' } },
};

test.each(REGIONS)('and a frame with too little for %s is caught', async (region) => {
  const one: Case = {
    architecture: 'llama',
    format: 'q8_0',
    numbers: ['q8', 'f32'],
    nKvHeads: 4,
    isPlain: false,
    build: 'simd',
    nThreads: 1,
    kv: { kind: 'contiguous' },
    runs: [[17, 5]],
    isEveryRowWanted: true,
    ...USES[region],
  };
  expect(await trespassesOf(one)).toEqual([]);
  const found = await trespassesOf(one, (name, nBytes) => (name === region ? Math.floor(nBytes / 64) * 4 : nBytes));
  expect(found).toEqual([expect.stringContaining(`beyond ${region}`)]);
});
