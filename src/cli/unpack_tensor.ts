import type { DType } from '../core/dtype.ts';
import { CapacityError, UnsupportedError } from '../core/errors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { forEachRows, type ReadOptions, tensorRows } from '../load/weights.ts';
import { FORMATS, type Format } from '../quant/formats.ts';
import { showBytes } from './format.ts';

/**
 * All elements of a tensor as f32, a few rows at a time, so that its bytes are not held beside them.
 * Throws UnsupportedError for integers and f64, whose values f32 cannot hold, CapacityError when the result is too large for one
 * buffer, and what reading throws.
 */
export async function unpackTensor(info: TensorInfo, options: ReadOptions): Promise<Float32Array> {
  const format = formatOf(info);
  const { rowBytes } = tensorRows(info);
  const width = info.shape.at(-1) ?? 1;
  const nElements = info.shape.reduce((a, b) => a * b, 1);
  let data: Float32Array;
  try {
    data = new Float32Array(nElements);
  } catch {
    const needed = showBytes(Float32Array.BYTES_PER_ELEMENT * nElements);
    throw new CapacityError(`tensor ${info.name}: needs ${needed} as f32, more than one buffer of this host can have`);
  }
  const visit = (rows: Uint8Array, firstRow: number, nRows: number): void => {
    for (let r = 0; r < nRows; r++) format.unpack(rows, r * rowBytes, data, (firstRow + r) * width, width);
  };
  await forEachRows(info, visit, options);
  return data;
}

/** Any format of ggml can be unpacked, also those that no kernel computes with. */
function formatOf(info: TensorInfo): Format {
  if (Object.hasOwn(FORMATS, info.type)) return FORMATS[info.type as DType];
  throw new UnsupportedError(
    `tensor ${info.name}: is ${info.type}, which f32 cannot hold; formats that can be unpacked are ${Object.keys(FORMATS).join(', ')}`,
  );
}
