import type { Orientation, RgbImage } from './image.ts';

const ORIENTATION_TAG = 0x0112;
const TYPE_SHORT = 3;
const TIFF_MAGIC = 42;
const ENTRY_BYTES = 12;

/**
 * The orientation in a TIFF block, as APP1 of a JPEG and eXIf of a PNG hold it. 1 when there is none, or when the block is
 * damaged: it is a note about the picture, and the picture itself is whole.
 * Source: CIPA DC-008 (Exif 2.32), 4.6.4; TIFF 6.0, section 2.
 */
export function readOrientation(tiff: Uint8Array): Orientation {
  if (tiff.length < 8) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const order = view.getUint16(0);
  const little = order === 0x4949;
  if ((!little && order !== 0x4d4d) || view.getUint16(2, little) !== TIFF_MAGIC) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const nEntries = view.getUint16(directory, little);
  for (let i = 0; i < nEntries; i++) {
    const at = directory + 2 + i * ENTRY_BYTES;
    if (at + ENTRY_BYTES > tiff.length) return 1;
    if (view.getUint16(at, little) !== ORIENTATION_TAG) continue;
    const value = view.getUint16(at + 8, little);
    return view.getUint16(at + 2, little) === TYPE_SHORT && value >= 1 && value <= 8 ? (value as Orientation) : 1;
  }
  return 1;
}

/**
 * The picture as it is meant to be seen. From 5 on, rows become columns.
 * The same image when nothing is to be done; otherwise a new one.
 */
export function upright(image: RgbImage, orientation: Orientation): RgbImage {
  if (orientation === 1) return image;
  const { width, height, pixels } = image;
  const swaps = orientation >= 5;
  const outWidth = swaps ? height : width;
  const outHeight = swaps ? width : height;
  const flipsX = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
  const flipsY = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      // Where this pixel is stored: swapped back first, then mirrored along the stored axes.
      const [column, row] = swaps ? [y, x] : [x, y];
      const from = 3 * ((flipsY ? height - 1 - row : row) * width + (flipsX ? width - 1 - column : column));
      const to = 3 * (y * outWidth + x);
      out[to] = pixels[from]!;
      out[to + 1] = pixels[from + 1]!;
      out[to + 2] = pixels[from + 2]!;
    }
  }
  return { width: outWidth, height: outHeight, pixels: out };
}
