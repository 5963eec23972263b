import { ConfigError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import type { ModelFile } from '../load/model_file.ts';
import { dtypeOf, readTensorBytes } from '../load/weights.ts';
import { FORMATS } from '../quant/formats.ts';

/** Twice the pairs of the widest head that any model has. */
const MAX_FACTORS = 4096;

/**
 * The values of a tensor that belongs to a file's config, such as rope_freqs.weight; undefined where the file has none.
 * Throws ConfigError when it is too large to be that.
 */
export async function readFactors(file: ModelFile, name: string): Promise<number[] | undefined> {
  const info = file.tensors.get(name);
  if (info === undefined) return undefined;
  const n = sizeOf(info.shape);
  if (n > MAX_FACTORS) throw new ConfigError(`${name} has ${n} elements, expected one per pair of a head`);
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  const values = new Float32Array(n);
  FORMATS[dtypeOf(info)].unpack(bytes, 0, values, 0, n);
  return Array.from(values);
}
