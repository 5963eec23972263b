import { ConfigError, FormatError, UnsupportedError } from '../core/errors.ts';
import { type DecodedImage, MAX_PIXELS } from './image.ts';
import { decodeJpeg, isJpeg } from './jpeg.ts';
import { decodePng, isPng } from './png.ts';

/** Formats that are known by their first bytes and left to a program that the user installs. */
export type OtherFormat = 'webp' | 'gif' | 'avif' | 'heif' | 'tiff' | 'bmp' | 'jxl';

export interface DecodeOptions {
  /** Larger pictures are refused before anything is allocated; MAX_PIXELS by default. */
  readonly maxPixels?: number;
  /** Decodes what this file cannot; without it other formats are refused by name. */
  readonly other?: (bytes: Uint8Array, format: OtherFormat, name: string, maxPixels: number) => Promise<DecodedImage>;
}

/**
 * Decodes a picture by its first bytes, not by its name. PNG and JPEG give the same pixels on every host.
 * name: what messages call it.
 *
 * Throws FormatError (damaged, or no picture), CapacityError (too large), UnsupportedError (a format that is left to others),
 * ConfigError when maxPixels is not a positive integer.
 */
export async function decodeImage(bytes: Uint8Array, name: string, options: DecodeOptions = {}): Promise<DecodedImage> {
  const { maxPixels = MAX_PIXELS, other } = options;
  if (!Number.isSafeInteger(maxPixels) || maxPixels < 1) {
    throw new ConfigError(`maxPixels is ${maxPixels}, expected a positive integer`);
  }
  if (isPng(bytes)) return decodePng(bytes, name, maxPixels);
  if (isJpeg(bytes)) return decodeJpeg(bytes, name, maxPixels);
  const format = otherFormat(bytes);
  if (format === null) throw new FormatError(`${name}: is not a picture; give a PNG or a JPEG file`, 0);
  if (other === undefined) throw new UnsupportedError(`${name}: is a ${format} picture; save it as PNG or JPEG`);
  return other(bytes, format, name, maxPixels);
}

/** null: none of them. */
function otherFormat(bytes: Uint8Array): OtherFormat | null {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (text(0, 4) === 'GIF8') return 'gif';
  if (text(0, 4) === 'II*\0' || text(0, 4) === 'MM\0*') return 'tiff';
  if (text(0, 2) === 'BM') return 'bmp';
  if (text(0, 2) === '\xff\x0a' || text(0, 12) === '\0\0\0\x0cJXL \r\n\x87\n') return 'jxl';
  if (text(4, 8) !== 'ftyp') return null;
  return text(8, 11) === 'avi' ? 'avif' : ['hei', 'hev', 'mif', 'msf'].includes(text(8, 11)) ? 'heif' : null;
}
