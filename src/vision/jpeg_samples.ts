import { UnsupportedError } from '../core/errors.ts';
import { BLOCK, type Component, type Frame } from './jpeg_frame.ts';
import { inverseDct } from './jpeg_idct.ts';

/** The samples of one component: rows of `stride`, of which the component's width and height are the picture's. */
export interface Plane {
  readonly component: Component;
  readonly stride: number;
  readonly samples: Uint8ClampedArray;
}

/** Transforms every block. quant: [64], natural order. */
export function samplesOf(component: Component, quant: Uint16Array): Plane {
  const stride = 8 * component.stride;
  const samples = new Uint8ClampedArray(component.coefficients.length);
  const scratch = new Int32Array(BLOCK);
  for (let at = 0, block = 0; at < samples.length; at += BLOCK, block++) {
    const x = block % component.stride;
    const y = (block - x) / component.stride;
    inverseDct(component.coefficients, at, quant, samples, 8 * (y * stride + x), stride, scratch);
  }
  return { component, stride, samples };
}

/** Writes row y of a component at the picture's full width. */
export type RowReader = (y: number, out: Uint8Array) => void;

/**
 * How a component becomes as large as the picture. Halved colours are interpolated with weights 3/4 and 1/4 ("fancy
 * upsampling"), as libjpeg does by default; other whole factors repeat samples.
 * Beyond the border the outermost sample counts once more.
 *
 * Throws UnsupportedError when a sampling factor does not divide the largest one.
 */
export function upsampled(plane: Plane, frame: Frame, name: string): RowReader {
  const { component, stride, samples } = plane;
  const { width, height } = component;
  const scaleX = frame.hMax / component.h;
  const scaleY = frame.vMax / component.v;
  if (!Number.isInteger(scaleX) || !Number.isInteger(scaleY)) {
    throw new UnsupportedError(
      `${name}: samples colours ${component.h} x ${component.v} of ${frame.hMax} x ${frame.vMax}, only whole factors are supported; save it as 4:2:0 or 4:4:4`,
    );
  }
  // Of the sampled rows, the one at y, or the border's.
  const rowAt = (y: number) => stride * Math.min(Math.max(y, 0), height - 1);
  const isWide = width > 2; // libjpeg repeats samples in pictures narrower than that

  if (scaleX === 2 && scaleY === 1 && isWide) {
    return (y, out) => doubleRow((i) => samples[rowAt(y) + i]!, width, out, 2, 1, 2);
  }
  if (scaleY === 2 && (scaleX === 1 || (scaleX === 2 && isWide))) {
    return (y, out) => {
      const near = rowAt(y >> 1);
      // The upper of two rows leans on the row above, the lower one on the row below.
      const far = rowAt((y >> 1) + ((y & 1) === 0 ? -1 : 1));
      const sum = (i: number) => 3 * samples[near + i]! + samples[far + i]!;
      if (scaleX === 2) doubleRow(sum, width, out, 4, 8, 7);
      else for (let i = 0; i < width; i++) out[i] = (sum(i) + ((y & 1) === 0 ? 1 : 2)) >> 2;
    };
  }
  return (y, out) => {
    const row = rowAt(Math.floor(y / scaleY));
    for (let x = 0; x < out.length; x++) out[x] = samples[row + Math.floor(x / scaleX)]!;
  };
}

/**
 * Two outputs for each input: 3/4 of it, 1/4 of its left or right neighbour.
 * shift: the inputs' scale and 2 more bits; roundLeft and roundRight: added before it, unlike so that the error does not lean.
 */
function doubleRow(
  input: (i: number) => number,
  width: number,
  out: Uint8Array,
  shift: number,
  roundLeft: number,
  roundRight: number,
): void {
  let left = input(0);
  let here = left;
  for (let i = 0; i < width; i++) {
    const right = i + 1 < width ? input(i + 1) : here;
    // The outermost two are the input itself, rounded like the others: 3 x + x = 4 x.
    out[2 * i] = (3 * here + left + roundLeft) >> shift;
    out[2 * i + 1] = (3 * here + right + roundRight) >> shift;
    left = here;
    here = right;
  }
}
