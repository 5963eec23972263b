import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { DType } from '../../src/core/dtype.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { RANDOM_SHAPES, type RandomShapeName } from '../../src/load/random_shape.ts';

/** Raised when the same shape, format and seed give another file than before. */
const FILE_VERSION = 2;
const SEED = 1;
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/glassformer-bench/', import.meta.url));

/** Path of a random model, written once and kept under node_modules/.cache. */
export async function randomModel(shape: RandomShapeName, format: DType): Promise<string> {
  const path = join(CACHE, `random-${shape}-${format}-v${FILE_VERSION}.gguf`);
  if (existsSync(path)) return path;
  process.stderr.write(`bench: writing ${path}\n`);
  mkdirSync(CACHE, { recursive: true });
  const part = `${path}.${randomUUID()}.part`;
  const model = randomGguf({ architecture: 'llama', shape: RANDOM_SHAPES[shape], format, seed: SEED });
  try {
    await pipeline(Readable.from(copied(model.chunks())), createWriteStream(part));
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
