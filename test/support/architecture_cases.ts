import type { DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { RANDOM_ARCHITECTURES, type RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import type { RandomModelShape } from '../../src/load/random_shape.ts';
import { HOST } from './executors.ts';

/** Small random models of every architecture, on which engines are compared: how heads are laid out, sizes, formats. */

export const ALL_ARCHITECTURES = Object.keys(RANDOM_ARCHITECTURES) as RandomArchitectureName[];

const VOCAB = 320;
const MAX_CONTEXT = 128;

/** As many kv heads as heads, groups, one for all; widths that no vector divides. Quantized rows need whole blocks. */
export const LAYOUTS = {
  'own kv heads': layout({ nLayers: 2, dim: 72, nHeads: 6, nKvHeads: 6, hiddenDim: 100, tied: false }),
  grouped: layout({ nLayers: 6, dim: 96, nHeads: 6, nKvHeads: 2, hiddenDim: 160, tied: true }),
  'one kv head': layout({ nLayers: 2, dim: 80, nHeads: 5, nKvHeads: 1, hiddenDim: 132, tied: false }),
  'whole blocks': layout({ nLayers: 2, dim: 256, nHeads: 4, nKvHeads: 2, hiddenDim: 512, tied: false }),
} as const satisfies Readonly<Record<string, RandomModelShape>>;
export type LayoutName = keyof typeof LAYOUTS;
export const ALL_LAYOUTS = Object.keys(LAYOUTS) as LayoutName[];

function layout(shape: Omit<RandomModelShape, 'vocab' | 'maxContext'>): RandomModelShape {
  return { ...shape, vocab: VOCAB, maxContext: MAX_CONTEXT };
}

/** A model: equal cases are equal files. */
export interface ArchitectureCase {
  readonly architecture: RandomArchitectureName;
  readonly layout: LayoutName;
  readonly format: DType;
  readonly seed: number;
  /** The same weights as f32. */
  readonly isUnpacked?: boolean;
}

/** The file that was made last: a model is compared with itself in several forms, and making one is slower than a run. */
let last: { readonly key: string; readonly file: Uint8Array<ArrayBuffer> } | undefined;

/** The case as a file in memory, for reading alone: the next call may give the same. */
export function fileOfCase(one: ArchitectureCase): Uint8Array<ArrayBuffer> {
  const key = JSON.stringify(one);
  if (last?.key !== key) last = { key, file: makeFile(one) };
  return last.file;
}

function makeFile({ layout: name, ...options }: ArchitectureCase): Uint8Array<ArrayBuffer> {
  const model = randomGguf({ ...options, shape: LAYOUTS[name] });
  const file = new Uint8Array(model.nBytes);
  let at = 0;
  for (const chunk of model.chunks()) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

/** From one token to more than a chunk of lanes; positions far enough that windows and rotations matter. */
export const PROMPTS: readonly (readonly number[])[] = [
  [1],
  [1, 77, 130, 299, 300, 45, 12],
  Array.from({ length: 41 }, (_, t) => 1 + ((t * 97) % (VOCAB - 1))),
];

/** Largest minus smallest of all rows together: what distances between logits are measured in. */
export function spreadOf(rows: readonly ArrayLike<number>[]): number {
  let [low, high] = [Infinity, -Infinity];
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      low = Math.min(low, row[i]!);
      high = Math.max(high, row[i]!);
    }
  }
  return high - low;
}

/** Root of the mean square of a - b over all rows together; NaN anywhere gives NaN, which fails every comparison. */
export function distanceOf(a: readonly ArrayLike<number>[], b: readonly ArrayLike<number>[]): number {
  let [sum, n] = [0, 0];
  a.forEach((row, r) => {
    const other = b[r]!;
    if (row.length !== other.length) throw new Error(`rows of ${row.length} and ${other.length} logits`);
    for (let i = 0; i < row.length; i++) sum += (row[i]! - other[i]!) ** 2;
    n += row.length;
  });
  return Math.sqrt(sum / n);
}

export function argmax(row: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

/** Rows of our logits, one per prompt: after its last token. */
export async function logitsOfCase(one: ArchitectureCase, options: LoadOptions): Promise<ArrayLike<number>[]> {
  const source = bufferSource(`${one.architecture}.gguf`, fileOfCase(one));
  await using model = await loadModel({ kind: 'file', source, folder: undefined }, HOST, options);
  const rows: ArrayLike<number>[] = [];
  for (const ids of PROMPTS) {
    using session = model.createSession();
    rows.push((await session.append(ids)).data);
  }
  return rows;
}
