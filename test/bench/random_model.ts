import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { DType } from '../../src/core/dtype.ts';
import { type RandomModelShape, randomGguf } from '../../src/load/random_gguf.ts';

/** Shapes of published models: SmolLM 135M, Qwen 2 0.5B, Llama 3.2 1B. */
export const SHAPES = {
  '135M': {
    nLayers: 30,
    dim: 576,
    nHeads: 9,
    nKvHeads: 3,
    hiddenDim: 1536,
    vocab: 49152,
    maxContext: 2048,
    tied: true,
  },
  '0.5B': {
    nLayers: 24,
    dim: 896,
    nHeads: 14,
    nKvHeads: 2,
    hiddenDim: 4864,
    vocab: 151936,
    maxContext: 2048,
    tied: true,
  },
  '1.2B': {
    nLayers: 16,
    dim: 2048,
    nHeads: 32,
    nKvHeads: 8,
    hiddenDim: 8192,
    vocab: 128256,
    maxContext: 2048,
    tied: true,
  },
} as const satisfies Record<string, RandomModelShape>;

/** Raised when the same shape, format and seed give another file than before. */
const FILE_VERSION = 1;
const SEED = 1;
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/glassformer-bench/', import.meta.url));

/** Path of a random model, written once and kept under node_modules/.cache. */
export async function randomModel(shape: keyof typeof SHAPES, dtype: DType): Promise<string> {
  const path = join(CACHE, `random-${shape}-${dtype}-v${FILE_VERSION}.gguf`);
  if (existsSync(path)) return path;
  process.stderr.write(`bench: writing ${path}\n`);
  mkdirSync(CACHE, { recursive: true });
  const part = `${path}.${randomUUID()}.part`;
  try {
    await pipeline(
      Readable.from(copied(randomGguf({ shape: SHAPES[shape], dtype, seed: SEED }))),
      createWriteStream(part),
    );
    renameSync(part, path);
  } finally {
    rmSync(part, { force: true });
  }
  return path;
}

/** A stream keeps chunks for a while, the generator writes into the same one again. */
function* copied(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const chunk of chunks) yield chunk.slice();
}
