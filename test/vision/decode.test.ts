import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/vision/decode.ts';
import { upright } from '../../src/vision/exif.ts';
import { ROOT } from '../support/fixtures.ts';

interface Case {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly file: string;
  readonly rgb: string;
  readonly orientation?: number;
  readonly upright?: string;
  readonly uprightWidth?: number;
}

function readCases(file: string): Case[] {
  return JSON.parse(readFileSync(join(ROOT, 'test/goldens/vision', file), 'utf8')) as Case[];
}

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

/** Vectors of test/golden/pictures.py: what Pillow 9.4 with libjpeg-turbo 2.1.5 decodes, bit for bit. */
describe.each(['png.json', 'jpeg.json'])('%s', (file) => {
  test.each(readCases(file).map((c) => [c.name, c] as const))('%s', async (name, c) => {
    const image = await decodeImage(bytesOf(c.file), name);
    expect([image.width, image.height]).toEqual([c.width, c.height]);
    expect(Buffer.from(image.pixels).equals(Buffer.from(c.rgb, 'base64'))).toBe(true);
    expect(image.orientation).toBe(c.orientation ?? 1);
    if (c.upright !== undefined) {
      const turned = upright(image, image.orientation);
      expect(turned.width).toBe(c.uprightWidth);
      expect(Buffer.from(turned.pixels).equals(Buffer.from(c.upright, 'base64'))).toBe(true);
    }
  });
});
