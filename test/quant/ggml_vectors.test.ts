import { expect, test } from 'vitest';
import { DTYPES, type DType } from '../../src/core/dtype.ts';
import { FORMATS, type PackableDType } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { describeWithFixture } from '../support/fixtures.ts';
import { floatsOf, readSafetensorsFixture } from '../support/safetensors_fixture.ts';

/** Unpacks all of `bytes`. */
function unpackAll(dtype: DType, bytes: Uint8Array): Float32Array {
  const { blockSize, blockBytes } = DTYPES[dtype];
  const out = new Float32Array((bytes.length / blockBytes) * blockSize);
  FORMATS[dtype].unpack(bytes, 0, out, 0, out.length);
  return out;
}

function packAll(dtype: PackableDType, x: Float32Array): Uint8Array {
  const { blockSize, blockBytes } = DTYPES[dtype];
  const bytes = new Uint8Array((x.length / blockSize) * blockBytes);
  FORMATS[dtype].pack(x, 0, x.length, bytes, 0);
  return bytes;
}

describeWithFixture('quants', 'block formats against the bytes of ggml', () => {
  for (const dtype of ['q8_0', 'q4_0', 'f16', 'bf16'] as const) {
    const vectors = readSafetensorsFixture('quants', `${dtype}.safetensors`);
    const get = (name: string): Uint8Array => {
      const tensor = vectors.get(name);
      if (tensor === undefined) throw new Error(`${dtype}: the fixture has no tensor ${name}`);
      return tensor;
    };

    test(`${dtype}: pack gives ggml's bytes`, () => {
      expect(packAll(dtype, floatsOf(get('input')))).toEqual(get('bytes'));
    });

    test(`${dtype}: unpack gives ggml's values`, () => {
      expect(firstBitDifference(unpackAll(dtype, get('bytes')), floatsOf(get('dequantized')))).toBe(-1);
    });

    test(`${dtype}: unpack gives ggml's values for random codes`, () => {
      const expected = floatsOf(get('codes.dequantized'));
      expect(expected.length).toBeGreaterThan(0);
      expect(firstBitDifference(unpackAll(dtype, get('codes.bytes')), expected)).toBe(-1);
    });
  }

  for (const dtype of ['f16', 'bf16'] as const) {
    test(`${dtype}: overflow, subnormals, ties, infinities and NaN`, () => {
      const vectors = readSafetensorsFixture('quants', `${dtype}.safetensors`);
      const packed = packAll(dtype, floatsOf(vectors.get('edge.input')!));
      // NaN payloads are free, so both sides are compared as the values that they decode to.
      expect(firstBitDifference(unpackAll(dtype, packed), floatsOf(vectors.get('edge.dequantized')!))).toBe(-1);
      expect(
        firstBitDifference(unpackAll(dtype, vectors.get('edge.bytes')!), floatsOf(vectors.get('edge.dequantized')!)),
      ).toBe(-1);
    });
  }
});
