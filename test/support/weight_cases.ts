import fc from 'fast-check';
import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import { writeScales } from './block_scales.ts';
import { testRandom } from './floats.ts';
import { type FloatSource, floatSource, hardFloats } from './hard_floats.ts';

/** Bytes of a matrix as a file has them. */
export interface WeightSource {
  readonly values: FloatSource;
}

export const weightSource: fc.Arbitrary<WeightSource> = fc.record({ values: floatSource });

/** Scales of block formats, and of their minima: both signs, zeros, f16 subnormals, large ones; and with kind 'nonfinite' some NaN and infinities. */
const SCALES: readonly number[] = [0.01, 0.013, 0.0007, -0.02, 1, 0, -0, 2 ** -24, 3 * 2 ** -20, 60000];
const NONFINITE_SCALES: readonly number[] = [Infinity, -Infinity, NaN];

/** [nRows, nIn] in a format's bytes. All bit patterns of codes and of 16-bit floats occur, subnormals among them. */
export function weightBytes(source: WeightSource, dtype: DType, nRows: number, nIn: number): Uint8Array {
  const { seed, kind } = source.values;
  if (dtype === 'f32') return new Uint8Array(hardFloats(source.values, nRows * nIn, 7).buffer);
  const random = testRandom(seed ^ 0x5bd1e995);
  const bytes = new Uint8Array(nRows * rowBytes(dtype, nIn));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256);
  if (DTYPES[dtype].blockSize === 1) {
    for (let i = 0; i < bytes.length; i += 2) view.setUint16(i, floatBits(dtype as 'f16' | 'bf16', kind, random), true);
    return bytes;
  }
  for (let i = 0; i < bytes.length; i += DTYPES[dtype].blockBytes) {
    const list = kind === 'nonfinite' && random() < 0.2 ? NONFINITE_SCALES : SCALES;
    const pick = (): number => list[Math.floor(random() * (kind === 'plain' ? 3 : list.length))]!;
    const isAnyPower = dtype === 'mxfp4' && kind === 'edges'; // from 2^-127 to 2^128
    if (!isAnyPower) writeScales(dtype, view, i, pick(), pick());
  }
  return bytes;
}

/** Exponent fields: around 1, or any finite one, or (rarely, where asked for) the one of infinities and NaN. */
function floatBits(dtype: 'f16' | 'bf16', kind: FloatSource['kind'], random: () => number): number {
  const { fractionBits, bias, top } =
    dtype === 'f16' ? { fractionBits: 10, bias: 15, top: 31 } : { fractionBits: 7, bias: 127, top: 255 };
  const sign = random() < 0.5 ? 0x8000 : 0;
  const fraction = Math.floor(random() * (1 << fractionBits));
  const subnormal = kind !== 'plain' && random() < 0.2;
  let exponent = subnormal ? 0 : bias - Math.floor(random() * 8);
  if (kind === 'wide' || kind === 'edges') exponent = subnormal ? 0 : Math.floor(random() * top);
  if (kind === 'nonfinite' && random() < 0.02) exponent = top;
  return sign | (exponent << fractionBits) | (random() < 0.1 ? 0 : fraction);
}
