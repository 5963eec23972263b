import { FormatError, UnsupportedError } from '../core/errors.ts';
import type { OtherFormat } from '../vision/decode.ts';
import { checkPixels, type DecodedImage, type Orientation } from '../vision/image.ts';

/** As much of the package sharp as is used here. It is no dependency: whoever wants other formats installs it. */
interface Sharp {
  metadata(): Promise<{ width?: number; height?: number; orientation?: number }>;
  toColourspace(space: 'srgb'): Sharp;
  removeAlpha(): Sharp;
  raw(): Sharp;
  toBuffer(options: {
    resolveWithObject: true;
  }): Promise<{ data: Uint8Array; info: { width: number; height: number; channels: number } }>;
}

export type SharpModule = { default: (bytes: Uint8Array, options: { limitInputPixels: number }) => Sharp };

/** A name that TypeScript and bundlers do not follow: the package may not be there. */
const PACKAGE: string = 'sharp';

/**
 * Decodes what `decodeImage` leaves to others, with the package sharp where the user has installed it. Its pixels are those of
 * its libraries, which differ between versions; PNG and JPEG never come here.
 *
 * Throws UnsupportedError when sharp is missing or was built without that format, CapacityError when the picture is too large,
 * FormatError when sharp cannot read it.
 */
export async function decodeWithSharp(
  bytes: Uint8Array,
  format: OtherFormat,
  name: string,
  maxPixels: number,
  load: () => Promise<SharpModule> = () => import(PACKAGE) as Promise<SharpModule>,
): Promise<DecodedImage> {
  let sharp: SharpModule['default'];
  try {
    sharp = (await load()).default;
  } catch {
    throw new UnsupportedError(
      `${name}: is a ${format} picture, which needs the package "sharp"; run npm install sharp, or save it as PNG or JPEG`,
    );
  }
  try {
    const input = sharp(bytes, { limitInputPixels: maxPixels });
    const { width, height, orientation } = await input.metadata();
    if (width !== undefined && height !== undefined) checkPixels(name, width, height, maxPixels);
    const { data, info } = await input.toColourspace('srgb').removeAlpha().raw().toBuffer({ resolveWithObject: true });
    if (data.length !== info.width * info.height * info.channels || (info.channels !== 1 && info.channels !== 3)) {
      throw new Error(`it gave ${data.length} bytes for ${info.width} x ${info.height} x ${info.channels}`);
    }
    const pixels = info.channels === 3 ? new Uint8Array(data) : repeat(data);
    return { width: info.width, height: info.height, pixels, orientation: (orientation ?? 1) as Orientation };
  } catch (e) {
    if (e instanceof Error && e.name === 'CapacityError') throw e;
    throw new FormatError(
      `${name}: sharp cannot read it as ${format}: ${e instanceof Error ? e.message : String(e)}`,
      0,
    );
  }
}

/** Grey as red, green and blue. */
function repeat(grey: Uint8Array): Uint8Array {
  const pixels = new Uint8Array(3 * grey.length);
  for (let i = 0; i < grey.length; i++) pixels.fill(grey[i]!, 3 * i, 3 * i + 3);
  return pixels;
}
