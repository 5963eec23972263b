import { UnsupportedError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import { FORMATS } from '../quant/formats.ts';
import { derived, inStrips } from './derived_tensors.ts';
import { type LoraPair, rankOf } from './lora.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';
import { dtypeOf, readTensorBytes, tensorRows } from './weights.ts';

/** Formats whose values a merged weight keeps: as f32 each is exact. */
const MERGEABLE = ['f32', 'f16', 'bf16'] as const;

export interface ScaledPair {
  readonly pair: LoraPair;
  readonly scale: number;
}

/**
 * W + sum over pairs of s B A as f32 [out, in], made while it is read: sums in float64 (over rising rank, pair after pair),
 * rounded once. The weight itself is then off by at most half a unit in its last place.
 *
 * Throws UnsupportedError for a weight in blocks: rounding it to its blocks again would lose what the adapter learned.
 */
export function mergedWeight(w: TensorInfo, added: readonly ScaledPair[]): TensorInfo {
  const type = MERGEABLE.find((known) => known === w.type);
  if (type === undefined) {
    throw new UnsupportedError(
      `tensor ${quote(w.name)} is ${w.type}: only ${MERGEABLE.join(', ')} can be merged with an adapter; run it beside the model instead (without --lora-merge)`,
    );
  }
  for (const { pair } of added) [pair.a, pair.b].forEach(dtypeOf);
  const width = w.shape[1]!;
  const { blockBytes, unpack } = FORMATS[type];
  /** The elements from `first` to `end` - 1, in float64. */
  const sums = async (first: number, end: number): Promise<Float64Array> => {
    const bytes = new Uint8Array((end - first) * blockBytes);
    await readTensorBytes(w, first * blockBytes, bytes);
    const values = new Float32Array(end - first);
    unpack(bytes, 0, values, 0, values.length);
    const total = Float64Array.from(values);
    const [firstRow, lastRow] = [Math.floor(first / width), Math.floor((end - 1) / width)];
    for (const { pair, scale } of added) {
      const rank = rankOf(pair);
      const a = await unpackedRows(pair.a, 0, rank);
      const b = await unpackedRows(pair.b, firstRow, lastRow - firstRow + 1);
      for (let row = firstRow; row <= lastRow; row++) {
        const [from, to] = [Math.max(first, row * width), Math.min(end, (row + 1) * width)];
        const product = new Float64Array(to - from);
        for (let k = 0; k < rank; k++) {
          const factor = b[(row - firstRow) * rank + k]!;
          const start = k * width + from - row * width;
          for (let i = 0; i < product.length; i++) product[i]! += factor * a[start + i]!;
        }
        for (let i = 0; i < product.length; i++) total[from - first + i]! += scale * product[i]!;
      }
    }
    return total;
  };
  return derived(w, 'f32', w.shape, 4 * sizeOf(w.shape), (at, into) =>
    inStrips(at, into, async (from, part) => {
      const [first, end] = [Math.floor(from / 4), Math.ceil((from + part.length) / 4)];
      const values = Float32Array.from(await sums(first, end));
      const packed = new Uint8Array(4 * values.length);
      FORMATS.f32.pack(values, 0, values.length, packed, 0);
      part.set(packed.subarray(from - 4 * first, from - 4 * first + part.length));
    }),
  );
}

/** Some whole rows of a matrix in any format. */
async function unpackedRows(info: TensorInfo, from: number, nRows: number): Promise<Float32Array> {
  const { rowBytes } = tensorRows(info);
  const bytes = new Uint8Array(nRows * rowBytes);
  await readTensorBytes(info, from * rowBytes, bytes);
  const values = new Float32Array(nRows * info.shape[1]!);
  FORMATS[dtypeOf(info)].unpack(bytes, 0, values, 0, values.length);
  return values;
}
