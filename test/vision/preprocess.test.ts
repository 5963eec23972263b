import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import { crop } from '../../src/vision/crop.ts';
import { decodeImage } from '../../src/vision/decode.ts';
import type { RgbImage } from '../../src/vision/image.ts';
import { fitImage, normalizePixels, normalizePixels64, patchify } from '../../src/vision/preprocess.ts';
import { parsePreprocessor } from '../../src/vision/preprocessor.ts';
import { resize } from '../../src/vision/resize.ts';
import { describeWithFixture, fixture, readFixtureJson } from '../support/fixtures.ts';

const MEAN = [0.4914, 0.4822, 0.4465];
const STD = [0.247, 0.2435, 0.2616];
const VIT = {
  image_processor_type: 'ViTImageProcessor',
  do_resize: true,
  size: { height: 32, width: 32 },
  resample: 2,
  do_rescale: true,
  rescale_factor: 0.00392156862745098,
  do_normalize: true,
  image_mean: MEAN,
  image_std: STD,
};
const parse = (fields: object) => parsePreprocessor(fields as Record<string, unknown>, 'preprocessor_config.json');

function blank(width: number, height: number): RgbImage {
  return { width, height, pixels: new Uint8Array(3 * width * height) };
}

test('a file of ViTImageProcessor', () => {
  expect(parse(VIT)).toEqual({
    resize: { filter: 'bilinear', size: { kind: 'exact', width: 32, height: 32 } },
    centreCrop: null,
    rescale: 0.00392156862745098,
    normalize: { mean: MEAN, std: STD },
  });
});

test('an older file leaves out what its class does by default', () => {
  const old = { feature_extractor_type: 'ViTFeatureExtractor', size: 224, image_mean: MEAN, image_std: STD };
  expect(parse(old)).toMatchObject({
    resize: { filter: 'bilinear', size: { kind: 'exact', width: 224, height: 224 } },
    centreCrop: null,
    rescale: 1 / 255,
  });
  const deit = { ...old, feature_extractor_type: 'DeiTFeatureExtractor', size: 256, crop_size: 224 };
  expect(parse(deit)).toMatchObject({
    resize: { filter: 'bicubic', size: { kind: 'exact', width: 256, height: 256 } },
    centreCrop: { width: 224, height: 224 },
  });
  const clip = { ...deit, feature_extractor_type: 'CLIPFeatureExtractor', size: 224 };
  expect(parse(clip)).toMatchObject({ resize: { filter: 'bicubic', size: { kind: 'shortest', edge: 224 } } });
});

test.each([
  ['no class', { image_processor_type: undefined }, ConfigError, /no image_processor_type/],
  ['another class', { image_processor_type: 'BeitImageProcessor' }, UnsupportedError, /"BeitImageProcessor"/],
  ['a field of another class', { do_pad: true }, UnsupportedError, /field "do_pad" \(true\)/],
  ['code of its own', { auto_map: { AutoImageProcessor: 'x.Y' } }, UnsupportedError, /field "auto_map"/],
  ['a filter beyond the list', { resample: 6 }, UnsupportedError, /resample 6/],
  ['no size', { size: undefined }, ConfigError, /has no size/],
  ['half a size', { size: { height: 3 } }, ConfigError, /size.width is undefined/],
  ['a size with a limit', { size: { shortest_edge: 3, longest_edge: 9 } }, UnsupportedError, /size.longest_edge/],
  ['a huge size', { size: 1e6 }, ConfigError, /size is 1000000/],
  ['two means', { image_mean: [1, 2] }, ConfigError, /image_mean is \[1,2\]/],
  ['a spread of zero', { image_std: [1, 0, 1] }, ConfigError, /image_std\[1\] is 0/],
  ['a flag that is none', { do_resize: 'yes' }, ConfigError, /do_resize is "yes"/],
  ['a crop without a size', { do_center_crop: true }, ConfigError, /has no crop_size/],
] as const)('%s is refused', (_title, change, kind, message) => {
  const run = () => parse({ ...VIT, ...change });
  expect(run).toThrow(kind);
  expect(run).toThrow(message);
});

test('the shortest edge keeps the proportions, rounded down; a picture that becomes too long is refused', () => {
  const clip = parse({ ...VIT, image_processor_type: 'CLIPImageProcessor', size: 224, do_center_crop: false });
  expect(fitImage(blank(100, 150), clip, 'p')).toMatchObject({ width: 224, height: 336 });
  expect(fitImage(blank(150, 100), clip, 'p')).toMatchObject({ width: 336, height: 224 });
  expect(fitImage(blank(101, 150), clip, 'p')).toMatchObject({ width: 224, height: 332 });
  expect(() => fitImage(blank(1, 1 << 16), clip, 'p')).toThrow(CapacityError);
});

test('normalizing rounds as NumPy does in float32, planes are red, green, blue', () => {
  const image: RgbImage = { width: 2, height: 1, pixels: Uint8Array.of(0, 128, 255, 1, 2, 3) };
  const { fround } = Math;
  const expected = [0, 1, 128, 2, 255, 3].map((v, i) => {
    const c = i >> 1;
    return fround(fround(fround(v * VIT.rescale_factor) - fround(MEAN[c]!)) / fround(STD[c]!));
  });
  expect([...normalizePixels(image, parse(VIT))]).toEqual(expected);
  const exact = [0, 1, 128, 2, 255, 3].map((v, i) => (v * VIT.rescale_factor - MEAN[i >> 1]!) / STD[i >> 1]!);
  expect([...normalizePixels64(image, parse(VIT))]).toEqual(exact);
  const raw = parse({ ...VIT, do_rescale: false, do_normalize: false });
  expect([...normalizePixels(image, raw)]).toEqual([0, 1, 128, 2, 255, 3]);
});

test('patchify is the index formula, for any size', () => {
  const sizes = fc.record({
    size: fc.integer({ min: 1, max: 5 }),
    nX: fc.integer({ min: 1, max: 4 }),
    nY: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(sizes, ({ size, nX, nY }) => {
      const [width, height] = [nX * size, nY * size];
      const planes = Float32Array.from({ length: 3 * width * height }, (_, i) => i);
      const patches = patchify(planes, width, height, size);
      let at = 0;
      for (let r = 0; r < nY; r++)
        for (let q = 0; q < nX; q++)
          for (let c = 0; c < 3; c++)
            for (let i = 0; i < size; i++)
              for (let j = 0; j < size; j++) {
                expect(patches[at++]).toBe(planes[(c * height + r * size + i) * width + q * size + j]);
              }
      expect(at).toBe(planes.length);
    }),
    { numRuns: 30 },
  );
  expect(() => patchify(new Float32Array(3 * 6 * 4), 6, 4, 4)).toThrow(ConfigError);
});

interface Photo {
  readonly name: string;
  readonly source_size: readonly [number, number];
  readonly crop: readonly [number, number, number, number];
  readonly pixels: readonly number[];
}

describeWithFixture('photos', 'photos', () => {
  describeWithFixture('vit-cifar10', 'crops as Pillow made them', () => {
    const { photos } = readFixtureJson<{ photos: Photo[] }>('vit-cifar10', 'golden.json');

    describe.each(photos.map((p) => [p.name, p] as const))('%s', (name, photo) => {
      test('is the same to the last bit', async () => {
        const file = name.split(' ')[0]!;
        const image = await decodeImage(readFileSync(fixture('photos', file)), file);
        expect([image.width, image.height]).toEqual(photo.source_size);
        const [left, top, right, bottom] = photo.crop;
        const small = resize(crop(image, { left, top, right, bottom }), 32, 32, 'bilinear', file);
        expect([...small.pixels]).toEqual(photo.pixels);
      });
    });

    test('six crops of two photos', () => {
      expect(photos.length).toBe(6);
      expect(new Set(photos.map((p) => p.name.split(' ')[0])).size).toBe(2);
    });
  });
});
