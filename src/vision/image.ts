import { CapacityError } from '../core/errors.ts';

/** A decoded picture: red, green, blue, 8 bits each, rows from the top, no padding. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3] */
  readonly pixels: Uint8Array;
}

/**
 * What EXIF says about how the camera was held, 1 to 8. 1: as stored; 3: turned by 180 degrees; 6: to be turned by 90 degrees
 * to the right; 8: to the left; 2, 4, 5, 7: mirrored too.
 */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export interface DecodedImage extends RgbImage {
  /** Not applied to `pixels`: see `upright`. */
  readonly orientation: Orientation;
}

/** Largest picture that is decoded unless the caller says otherwise: 67 million pixels take 201 MB as RGB. */
export const MAX_PIXELS = 1 << 26;

/** Throws CapacityError when a picture of that size is not to be decoded. Called before anything is allocated. */
export function checkPixels(name: string, width: number, height: number, maxPixels: number): void {
  // Both are below 2^32, so the product is exact enough to compare.
  if (width * height <= maxPixels) return;
  throw new CapacityError(
    `${name}: ${width} x ${height} are ${width * height} pixels, pictures are decoded up to ${maxPixels}; make it smaller first`,
  );
}
