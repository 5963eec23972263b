import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError } from '../../src/core/errors.ts';
import { centreCrop, crop } from '../../src/vision/crop.ts';
import type { RgbImage } from '../../src/vision/image.ts';
import { type ResizeFilter, resize } from '../../src/vision/resize.ts';
import { ROOT } from '../support/fixtures.ts';

interface Vectors {
  readonly width: number;
  readonly height: number;
  readonly rgb: string;
  readonly cases: readonly { filter: ResizeFilter; width: number; height: number; rgb: string }[];
}

const vectors = JSON.parse(readFileSync(join(ROOT, 'test/goldens/vision/resize.json'), 'utf8')) as Vectors;
const source: RgbImage = { ...vectors, pixels: Buffer.from(vectors.rgb, 'base64') };

/** A picture whose pixel (x, y) is [x, y, 7]. */
function numbered(width: number, height: number): RgbImage {
  const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const at = Math.floor(i / 3);
    return [at % width, Math.floor(at / width), 7][i % 3]!;
  });
  return { width, height, pixels };
}

describe('resize has the pixels of Pillow', () => {
  test.each(vectors.cases.map((c) => [`${c.filter} to ${c.width} x ${c.height}`, c] as const))('%s', (_title, c) => {
    const got = resize(source, c.width, c.height, c.filter, 'noise');
    expect([got.width, got.height]).toEqual([c.width, c.height]);
    expect(Buffer.from(got.pixels).equals(Buffer.from(c.rgb, 'base64'))).toBe(true);
  });

  test('and every vector tells its filter from the others', () => {
    const filters: readonly ResizeFilter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];
    // One pixel is the mean of nearly everything: several filters may agree.
    for (const c of vectors.cases.filter(({ width }) => width > 1)) {
      for (const filter of filters.filter((f) => f !== c.filter)) {
        const other = resize(source, c.width, c.height, filter, 'noise');
        // A box that does not shrink anything holds the nearest pixel alone.
        const areOne = [filter, c.filter].every((f) => f === 'nearest' || f === 'box') && c.width > 38;
        const isSame = Buffer.from(other.pixels).equals(Buffer.from(c.rgb, 'base64'));
        expect(isSame, `${c.filter} as ${filter}, ${c.width} x ${c.height}`).toBe(areOne);
      }
    }
  });
});

test('the same size is the same picture; a result too large is refused before it is made', () => {
  expect(resize(source, 37, 23, 'lanczos', 'noise')).toBe(source);
  expect(() => resize(source, 1 << 14, 1 << 14, 'box', 'noise')).toThrow(CapacityError);
});

test('crop takes the box; one that is empty or reaches out is refused', () => {
  const part = crop(numbered(9, 7), { left: 2, top: 3, right: 4, bottom: 5 });
  expect([part.width, part.height]).toEqual([2, 2]);
  expect([...part.pixels]).toEqual([2, 3, 7, 3, 3, 7, 2, 4, 7, 3, 4, 7]);
  for (const box of [
    { left: 0, top: 0, right: 10, bottom: 7 },
    { left: -1, top: 0, right: 3, bottom: 3 },
    { left: 3, top: 3, right: 3, bottom: 5 },
    { left: 0.5, top: 0, right: 3, bottom: 5 },
  ]) {
    expect(() => crop(numbered(9, 7), box)).toThrow(ConfigError);
  }
});

test('centreCrop: an odd rest is left over at the right and the bottom; what is missing is black', () => {
  const cut = centreCrop(numbered(9, 6), 4, 3);
  expect([...cut.pixels.subarray(0, 3)]).toEqual([2, 1, 7]);
  const padded = centreCrop(numbered(2, 1), 5, 3);
  // Five columns for two: two on the left, one on the right. Three rows for one: one above, one below.
  const rows = [0, 1, 2].map((y) => [...padded.pixels.subarray(15 * y, 15 * y + 15)]);
  expect(rows).toEqual([new Array(15).fill(0), [0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 7, 0, 0, 0], new Array(15).fill(0)]);
});
