import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import { type Embedder, loadEmbedder, type Vector } from '../../src/engine/embedder.ts';
import type { EncoderLoadOptions } from '../../src/engine/load_encoder.ts';
import { loadReranker, type Reranker } from '../../src/engine/reranker.ts';
import type { RandomEncoderName } from '../../src/load/random_architectures.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import type { RandomModelShape } from '../../src/load/random_shape.ts';
import { openNodeFolder } from '../../src/platform/node.ts';
import { HOST } from './executors.ts';
import { ROOT } from './fixtures.ts';

/** Encoders to test with: the folders of test/golden/encoders.py, and random GGUF files. */

export interface EncoderGolden {
  readonly texts: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    /** Of length 1, by pooling. */
    readonly mean: readonly number[];
    readonly cls: readonly number[];
    readonly last: readonly number[];
    /** The mean as it is. */
    readonly raw: readonly number[];
  }[];
  readonly pairs: readonly {
    readonly query: string;
    readonly document: string;
    readonly ids: readonly number[];
    readonly types: readonly number[];
    readonly score: number;
  }[];
}

const GOLDENS = join(ROOT, 'test/goldens/encoders');
export const GOLDEN_ENCODERS: readonly string[] = readdirSync(GOLDENS).sort();
export const GOLDEN_RERANKERS: readonly string[] = GOLDEN_ENCODERS.filter((name) => name.endsWith('_reranker'));

export const goldenFolder = (name: string): string => join(GOLDENS, name);

export function readGolden(name: string): EncoderGolden {
  return JSON.parse(readFileSync(join(GOLDENS, name, 'golden.json'), 'utf8')) as EncoderGolden;
}

const sourceOf = (name: string) => ({ kind: 'folder', folder: openNodeFolder(goldenFolder(name)) }) as const;

export const goldenEmbedder = (name: string, options: EncoderLoadOptions): Promise<Embedder> =>
  loadEmbedder(sourceOf(name), HOST, options);
export const goldenReranker = (name: string, options: EncoderLoadOptions): Promise<Reranker> =>
  loadReranker(sourceOf(name), HOST, options);

export const ENCODER_SHAPE: RandomModelShape = {
  nLayers: 2,
  dim: 48,
  nHeads: 6,
  nKvHeads: 6,
  hiddenDim: 52,
  vocab: 262,
  maxContext: 40,
  tied: true,
};

export interface RandomEncoderCase {
  readonly architecture: RandomEncoderName;
  readonly shape?: Partial<RandomModelShape>;
  readonly format?: DType;
  readonly seed?: number;
  /** The same weights as f32. */
  readonly isUnpacked?: boolean;
}

/** A random encoder as a GGUF file in memory. */
export function encoderFile({
  architecture,
  shape,
  format = 'f32',
  seed = 3,
  isUnpacked = false,
}: RandomEncoderCase): Uint8Array<ArrayBuffer> {
  const model = randomGguf({ architecture, shape: { ...ENCODER_SHAPE, ...shape }, format, seed, isUnpacked });
  const file = new Uint8Array(model.nBytes);
  let at = 0;
  for (const chunk of model.chunks()) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

const fileSource = (one: RandomEncoderCase) =>
  ({ kind: 'file', source: bufferSource(`${one.architecture}.gguf`, encoderFile(one)) }) as const;

export const randomEmbedder = (one: RandomEncoderCase, options: EncoderLoadOptions = {}): Promise<Embedder> =>
  loadEmbedder(fileSource(one), HOST, options);
export const randomReranker = (one: RandomEncoderCase, options: EncoderLoadOptions = {}): Promise<Reranker> =>
  loadReranker(fileSource({ ...one, shape: { ...one.shape, tied: false } }), HOST, options);

/** The largest |a - b|; NaN where either has one. */
export function distance(a: readonly (Vector | readonly number[])[], b: readonly (readonly number[])[]): number {
  let most = 0;
  a.forEach((vector, r) => {
    if (vector.length !== b[r]!.length) throw new Error(`vectors of ${vector.length} and ${b[r]!.length} numbers`);
    b[r]!.forEach((v, i) => {
      most = Math.max(most, Math.abs(vector[i]! - v));
    });
  });
  return most;
}
