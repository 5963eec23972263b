import { sin } from '../core/math.ts';
import { checkPixels, MAX_PIXELS, type RgbImage } from './image.ts';

/** Filters, named as Pillow names them. All but `nearest` widen when a picture shrinks (antialiasing). */
export type ResizeFilter = 'nearest' | 'lanczos' | 'bilinear' | 'bicubic' | 'box' | 'hamming';

/** Weights are integers with 22 bits after the point: 8 bits of sample, 2 bits of headroom, 32 in all. */
const WEIGHT_BITS = 22;

/** How far a filter reaches on either side at its own scale, and its value at x. */
const FILTERS: Readonly<Record<Exclude<ResizeFilter, 'nearest'>, readonly [reach: number, at: (x: number) => number]>> =
  {
    box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    hamming: [1, hamming],
    bicubic: [2, bicubic],
    lanczos: [3, lanczos],
  };

/**
 * A picture of another size, with the pixels that Pillow's `Image.resize` gives: first every row, then every column, each
 * rounded to 8 bits, with weights of 22 bits. That is what Hugging Face's image processors call.
 * The same image when the size is the same.
 *
 * Throws CapacityError when the result has more than MAX_PIXELS.
 */
export function resize(image: RgbImage, width: number, height: number, filter: ResizeFilter, name: string): RgbImage {
  checkPixels(`${name} resized`, width, height, MAX_PIXELS);
  // Between the passes lies a picture of the new width and the old height.
  checkPixels(`${name} resized`, width, image.height, MAX_PIXELS);
  if (width === image.width && height === image.height) return image;
  if (filter === 'nearest') return pickNearest(image, width, height);
  return resizeColumns(resizeRows(image, width, filter), height, filter);
}

/** Output i is the weighted sum of the inputs from first[i] on, weights[i * most] to weights[i * most + count[i] - 1]. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly most: number;
  readonly weights: Int32Array;
}

/**
 * w(i, k) = f((k + 1/2 - c) / s) / sum over k, with c = (i + 1/2) nIn / nOut the output's centre and s = max(1, nIn / nOut).
 */
function weightsOf(nIn: number, nOut: number, filter: Exclude<ResizeFilter, 'nearest'>): Weights {
  const [reach, at] = FILTERS[filter];
  const scale = nIn / nOut;
  const stretch = Math.max(1, scale);
  const support = reach * stretch;
  const most = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(nOut);
  const count = new Int32Array(nOut);
  const weights = new Int32Array(nOut * most);
  const exact = new Float64Array(most);
  for (let i = 0; i < nOut; i++) {
    const centre = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const n = Math.min(nIn, Math.trunc(centre + support + 0.5)) - from;
    let sum = 0;
    for (let k = 0; k < n; k++) {
      exact[k] = at((k + from - centre + 0.5) * (1 / stretch));
      sum += exact[k]!;
    }
    first[i] = from;
    count[i] = n;
    for (let k = 0; k < n; k++) {
      const weight = sum === 0 ? exact[k]! : exact[k]! / sum;
      weights[i * most + k] = Math.trunc(weight * (1 << WEIGHT_BITS) + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { first, count, most, weights };
}

function resizeRows(image: RgbImage, width: number, filter: Exclude<ResizeFilter, 'nearest'>): RgbImage {
  if (width === image.width) return image;
  const { first, count, most, weights } = weightsOf(image.width, width, filter);
  const pixels = new Uint8Array(3 * width * image.height);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * image.width + first[x]!);
      weigh(image.pixels, from, 3, weights, x * most, count[x]!, pixels, 3 * (y * width + x));
    }
  }
  return { width, height: image.height, pixels };
}

function resizeColumns(image: RgbImage, height: number, filter: Exclude<ResizeFilter, 'nearest'>): RgbImage {
  if (height === image.height) return image;
  const { first, count, most, weights } = weightsOf(image.height, height, filter);
  const { width } = image;
  const pixels = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (first[y]! * width + x);
      weigh(image.pixels, from, 3 * width, weights, y * most, count[y]!, pixels, 3 * (y * width + x));
    }
  }
  return { width, height, pixels };
}

/** One pixel: sum_k weight[k] * sample[k], rounded half up and clamped, for each of its three samples. */
function weigh(
  samples: Uint8Array,
  from: number,
  step: number,
  weights: Int32Array,
  weightsFrom: number,
  n: number,
  out: Uint8Array,
  to: number,
): void {
  const half = 1 << (WEIGHT_BITS - 1);
  let [red, green, blue] = [half, half, half];
  for (let k = 0, at = from; k < n; k++, at += step) {
    const weight = weights[weightsFrom + k]!;
    red += weight * samples[at]!;
    green += weight * samples[at + 1]!;
    blue += weight * samples[at + 2]!;
  }
  out[to] = clamp(red >> WEIGHT_BITS);
  out[to + 1] = clamp(green >> WEIGHT_BITS);
  out[to + 2] = clamp(blue >> WEIGHT_BITS);
}

function clamp(x: number): number {
  return Math.min(Math.max(x, 0), 255);
}

function pickNearest(image: RgbImage, width: number, height: number): RgbImage {
  const columns = nearestOf(image.width, width);
  const rows = nearestOf(image.height, height);
  const pixels = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (rows[y]! * image.width + columns[x]!);
      pixels.set(image.pixels.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return { width, height, pixels };
}

/** Which input each output shows. The place is added up step by step, as Pillow does: at exact ties it decides. */
function nearestOf(nIn: number, nOut: number): Int32Array {
  const scale = nIn / nOut;
  const inputs = new Int32Array(nOut);
  for (let i = 0, at = scale * 0.5; i < nOut; i++, at += scale) inputs[i] = Math.min(nIn - 1, Math.trunc(at));
  return inputs;
}

/** Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -1/2. */
function bicubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : sin(x * Math.PI) / (x * Math.PI);
}

function lanczos(x: number): number {
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

/** A sinc under a Hamming window: as sharp as bicubic, as quick as bilinear. */
function hamming(x: number): number {
  const t = Math.abs(x);
  if (t === 0) return 1;
  if (t >= 1) return 0;
  const angle = t * Math.PI;
  // cos(angle), from the one sine that lanczos has too.
  return (sin(angle) / angle) * (0.54 + 0.46 * sin(Math.PI / 2 - angle));
}
