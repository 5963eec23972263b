import { ConfigError } from '../core/errors.ts';
import type { RgbImage } from './image.ts';

/** A part of a picture in pixels; right and bottom are one past the last. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The part of the picture inside the box. Throws ConfigError when the box is empty or reaches beyond the picture. */
export function crop(image: RgbImage, { left, top, right, bottom }: Box): RgbImage {
  const isInside =
    left >= 0 && top >= 0 && left < right && top < bottom && right <= image.width && bottom <= image.height;
  if (!isInside || ![left, top, right, bottom].every(Number.isInteger)) {
    throw new ConfigError(
      `crop: box ${left},${top},${right},${bottom} is not inside the picture of ${image.width} x ${image.height}`,
    );
  }
  return padTo(image, -left, -top, right - left, bottom - top);
}

/**
 * The middle of a picture, width x height. Where the picture is smaller, black is put around it: the Hugging Face
 * processors pad before they normalize.
 * An odd rest goes to the right and the bottom when cropping, to the left and the top when padding, as there.
 */
export function centreCrop(image: RgbImage, width: number, height: number): RgbImage {
  return padTo(image, offset(image.width, width), offset(image.height, height), width, height);
}

/** Where the old first pixel lies on the new axis. */
function offset(nIn: number, nOut: number): number {
  return nOut >= nIn ? Math.ceil((nOut - nIn) / 2) : -Math.floor((nIn - nOut) / 2);
}

/** A picture of width x height on which the given one is laid at (x, y); black where it is not. */
function padTo(image: RgbImage, x: number, y: number, width: number, height: number): RgbImage {
  const pixels = new Uint8Array(3 * width * height);
  const firstX = Math.max(0, x);
  const endX = Math.min(width, x + image.width);
  for (let row = Math.max(0, y); row < Math.min(height, y + image.height); row++) {
    const from = 3 * ((row - y) * image.width + (firstX - x));
    pixels.set(image.pixels.subarray(from, from + 3 * (endX - firstX)), 3 * (row * width + firstX));
  }
  return { width, height, pixels };
}
