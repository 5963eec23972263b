import { assert, ConfigError } from '../core/errors.ts';
import { centreCrop } from './crop.ts';
import type { RgbImage } from './image.ts';
import type { Preprocessor, TargetSize } from './preprocessor.ts';
import { resize } from './resize.ts';

const { fround } = Math;

/**
 * The picture that a model gets: resized, then cropped, still in 8 bits.
 * Throws CapacityError when the resized picture (a very long one keeps its proportions) would be too large.
 */
export function fitImage(image: RgbImage, { resize: to, centreCrop: box }: Preprocessor, name: string): RgbImage {
  let fitted = image;
  if (to !== null) {
    const { width, height } = sizeOf(image, to.size);
    fitted = resize(image, width, height, to.filter, name);
  }
  return box === null ? fitted : centreCrop(fitted, box.width, box.height);
}

/** The longer side is rounded down, as int() does there. */
function sizeOf(image: RgbImage, size: TargetSize): { width: number; height: number } {
  if (size.kind === 'exact') return size;
  const { width, height } = image;
  const { edge } = size;
  return width <= height
    ? { width: edge, height: Math.trunc((edge * height) / width) }
    : { width: Math.trunc((edge * width) / height), height: edge };
}

/**
 * x[c, y, x] = (pixel * rescale - mean[c]) / std[c], the numbers of an f32 tier.
 *
 * pixels: [height, width, 3] of 0..255; result: f32 [3, height, width].
 * Rounded as NumPy does it in the Hugging Face processors: the product in f64 and then to f32, mean and std to f32, then one
 * rounding for the difference and one for the quotient.
 */
export function normalizePixels(image: RgbImage, { rescale, normalize }: Preprocessor): Float32Array {
  return spread(image, new Float32Array(image.pixels.length), (value, c) => {
    const scaled = fround(rescale === null ? value : value * rescale);
    if (normalize === null) return scaled;
    return fround(fround(scaled - fround(normalize.mean[c]!)) / fround(normalize.std[c]!));
  });
}

/** The same in float64: what the f32 form is measured against. */
export function normalizePixels64(image: RgbImage, { rescale, normalize }: Preprocessor): Float64Array {
  return spread(image, new Float64Array(image.pixels.length), (value, c) => {
    const scaled = rescale === null ? value : value * rescale;
    return normalize === null ? scaled : (scaled - normalize.mean[c]!) / normalize.std[c]!;
  });
}

/** A sample has 256 values: each is computed once, for each colour. */
function spread<T extends Float32Array | Float64Array>(
  { width, height, pixels }: RgbImage,
  out: T,
  of: (value: number, c: number) => number,
): T {
  const nPixels = width * height;
  assert(pixels.length === 3 * nPixels, 'an RgbImage has 3 samples for each pixel');
  for (let c = 0; c < 3; c++) {
    const table = Float64Array.from({ length: 256 }, (_, value) => of(value, c));
    for (let i = 0; i < nPixels; i++) out[c * nPixels + i] = table[pixels[3 * i + c]!]!;
  }
  return out;
}

/**
 * patches[r * nX + q, (c * size + i) * size + j] = planes[c, r * size + i, q * size + j]
 *
 * Cuts a picture into squares, row by row. A convolution whose stride is its kernel's size sees each square once, so it is
 * `linear` on these rows, with its kernel [dim, 3, size, size] read as a weight [dim, 3 * size * size].
 *
 * planes: [3, height, width]; result: [height / size * width / size, 3 * size * size].
 * Throws ConfigError when size does not divide both sides.
 */
export function patchify<T extends Float32Array | Float64Array>(
  planes: T,
  width: number,
  height: number,
  size: number,
): T {
  if (width % size !== 0 || height % size !== 0) {
    throw new ConfigError(`patches of ${size} x ${size} do not fill a picture of ${width} x ${height}`);
  }
  const patches = planes.slice() as T;
  let to = 0;
  for (let top = 0; top < height; top += size) {
    for (let left = 0; left < width; left += size) {
      for (let c = 0; c < 3; c++) {
        for (let i = 0; i < size; i++, to += size) {
          const from = (c * height + top + i) * width + left;
          patches.set(planes.subarray(from, from + size), to);
        }
      }
    }
  }
  return patches;
}
