import { readFileSync } from 'node:fs';
import type { DType } from '../../src/core/dtype.ts';
import { type Arena, createArena, createMemory } from '../../src/exec/wasm/arena.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { packPanels, packRecords, packTokens } from './ladder_layouts.ts';

/** y: f32 [nTokens, nOut]. x and w: as `packTokens` and `packWeights` of the step have written them. */
export type StepKernel = (y: number, x: number, w: number, nTokens: number, nIn: number, nOut: number) => void;

/** One step of kernels/ladder, with what it takes to call it. */
export interface LadderStep {
  /** Its file: kernels/ladder/<name>.ts. */
  readonly name: string;
  /** The definition that it has the bits of: src/ops/linear.ts with weights of this dtype and these activations. */
  readonly dtype: DType & ('f32' | 'q4_0');
  readonly activations: Activations;
  /** undefined: this host cannot run it. */
  readonly kernel: StepKernel | undefined;
  /** Rows of weights as a file has them, in the order that the step reads. */
  packWeights(bytes: Uint8Array, nOut: number, nIn: number): Uint8Array;
  packTokens(x: Float32Array, nTokens: number, nIn: number): Uint8Array;
}

export interface LadderModules {
  /** In their order. */
  readonly steps: readonly LadderStep[];
  /** See kernels/ladder/peak_f32.ts and stream_read.ts. */
  readonly peakF32: (nRounds: number, factor: number) => number;
  readonly streamRead: (from: number, nBytes: number) => number;
  /** Of the one memory that both modules work in. */
  readonly arena: Arena;
}

const asTheyAre = (values: Uint8Array | Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const FLOATS = { dtype: 'f32', activations: 'f32', packWeights: asTheyAre, packTokens: asTheyAre } as const;
const CODES = { dtype: 'q4_0', activations: 'q8', packWeights: packRecords } as const;

/** Name, export and data of each step. */
const STEPS: readonly (Omit<LadderStep, 'kernel'> & { readonly exported: string })[] = [
  { name: 'naive', exported: 'linearNaive', ...FLOATS },
  { name: 'lanes', exported: 'linearLanes', ...FLOATS },
  { name: 'unrolled', exported: 'linearUnrolled', ...FLOATS },
  { name: 'tiled', exported: 'linearTiled', ...FLOATS },
  { name: 'packed', exported: 'linearPacked', ...FLOATS, packWeights: packPanels },
  { name: 'integer', exported: 'linearInteger', ...CODES, packTokens: (x, n, nIn) => packTokens(x, n, nIn, 'wide') },
  { name: 'relaxed', exported: 'linearRelaxed', ...CODES, packTokens: (x, n, nIn) => packTokens(x, n, nIn, 'narrow') },
];

export const STEP_NAMES: readonly string[] = STEPS.map(({ name }) => name);

/** The kernels' own constants lie in the first page. */
const ARENA_START = 2 ** 16;

/** Loads dist/wasm/ladder.wasm, and ladder_relaxed.wasm where the host validates it. Throws where they were not built. */
export async function loadLadderModules(): Promise<LadderModules> {
  await createNodeHost().kernelModule('relaxed', 'q4_0'); // needs relaxed SIMD, and so switches it on
  const memory = createMemory();
  const kernels: Record<string, unknown> = {};
  for (const name of ['ladder', 'ladder_relaxed']) {
    const bytes = readFileSync(new URL(`../../dist/wasm/${name}.wasm`, import.meta.url));
    if (name === 'ladder_relaxed' && !WebAssembly.validate(bytes)) continue;
    Object.assign(kernels, (await WebAssembly.instantiate(bytes, { env: { memory } })).instance.exports);
  }
  const limits = kernels as unknown as Pick<LadderModules, 'peakF32' | 'streamRead'>;
  return {
    steps: STEPS.map(({ exported, ...step }) => ({ ...step, kernel: kernels[exported] as StepKernel | undefined })),
    peakF32: limits.peakF32,
    streamRead: limits.streamRead,
    arena: createArena(memory, ARENA_START),
  };
}
