import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { type Format, FORMATS as TABLE } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { describeWithFixture } from '../support/fixtures.ts';
import { floatsOf, readSafetensorsFixture } from '../support/safetensors_fixture.ts';

const FORMATS: Readonly<Record<DType, Format>> = TABLE;

/** f32 is its own vector; ggml has no dequantizer of q8_1, see its hand-made block in ggml_formats.test.ts. */
const WITHOUT_VECTORS: readonly DType[] = ['f32', 'q8_1'];

/** The one quantizer that reads memory which nobody wrote: codes of a block whose scale is 0. */
const UNDEFINED_CODES: readonly DType[] = ['iq4_nl'];

function unpackAll({ blockSize, blockBytes, unpack }: Format, bytes: Uint8Array): Float32Array {
  const out = new Float32Array((bytes.length / blockBytes) * blockSize);
  unpack(bytes, 0, out, 0, out.length);
  return out;
}

function packAll({ blockSize, blockBytes }: Format, pack: NonNullable<Format['pack']>, x: Float32Array) {
  const bytes = new Uint8Array((x.length / blockSize) * blockBytes);
  pack(x, 0, x.length, bytes, 0);
  return bytes;
}

/** Index of the first block whose bytes differ; -1 when none. */
function firstBlockDifference(a: Uint8Array, b: Uint8Array, blockBytes: number, ignored: (at: number) => boolean) {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] && !ignored(i)) return Math.floor(i / blockBytes);
  }
  return -1;
}

describeWithFixture('quants', 'every format against the bytes of ggml', () => {
  const names = (Object.keys(FORMATS) as DType[]).filter((name) => !WITHOUT_VECTORS.includes(name));

  describe.each(names)('%s', (name) => {
    const format = FORMATS[name];
    const vectors = readSafetensorsFixture('quants', `${name}.safetensors`);
    const get = (tensor: string): Uint8Array => {
      const bytes = vectors.get(tensor);
      if (bytes === undefined) throw new Error(`${name}: the fixture has no tensor ${tensor}`);
      return bytes;
    };

    test('unpack gives the values of what ggml packed', () => {
      expect(firstBitDifference(unpackAll(format, get('bytes')), floatsOf(get('dequantized')))).toBe(-1);
    });

    test('unpack gives the values of random bytes', () => {
      const expected = floatsOf(get('codes.dequantized'));
      expect(expected.length).toBeGreaterThanOrEqual(8192);
      expect(firstBitDifference(unpackAll(format, get('codes.bytes')), expected)).toBe(-1);
    });

    const { pack, blockBytes } = format;
    if (pack === undefined) return;
    test('pack gives the bytes', () => {
      const expected = get('bytes');
      // The scale is the first two bytes; blocks with scale 0 stand in the rows of zeros and of subnormals.
      const isUndefined = (i: number): boolean => {
        const block = i - (i % blockBytes);
        return UNDEFINED_CODES.includes(name) && i - block >= 2 && expected[block] === 0 && expected[block + 1] === 0;
      };
      const packed = packAll(format, pack, floatsOf(get('input')));
      expect(firstBlockDifference(packed, expected, blockBytes, isUndefined)).toBe(-1);
    });
  });
});
