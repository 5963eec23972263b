/** What the components of a JPEG are. `ycck` and `cmyk` are stored inverted (255: no ink), as Adobe's programs do. */
export type JpegColour = 'grey' | 'ycc' | 'rgb' | 'ycck' | 'cmyk';

const SCALE_BITS = 16;
const fixed = (x: number): number => Math.round(x * (1 << SCALE_BITS));
const HALF = 1 << (SCALE_BITS - 1);

/** ITU-R BT.601, as JFIF has it: r = y + 1.402 cr, g = y - 0.34414 cb - 0.71414 cr, b = y + 1.772 cb. */
const CR_TO_R = fixed(1.402);
const CB_TO_G = fixed(0.34414);
const CR_TO_G = fixed(0.71414);
const CB_TO_B = fixed(1.772);

/**
 * Turns one row of samples into RGB.
 * rows: one for each component, at the picture's width; pixels: written from `to` on.
 * Ink becomes light as Pillow's convert("RGB") does it: (1 - c) (1 - k), in 8 bits.
 */
export function rowToRgb(colour: JpegColour, rows: readonly Uint8Array[], pixels: Uint8Array, to: number): void {
  const [a, b, c, d] = rows as readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  for (let x = 0, at = to; x < a.length; x++, at += 3) {
    switch (colour) {
      case 'grey':
        pixels.fill(a[x]!, at, at + 3);
        break;
      case 'rgb':
        pixels[at] = a[x]!;
        pixels[at + 1] = b[x]!;
        pixels[at + 2] = c[x]!;
        break;
      case 'ycc':
        yccToRgb(a[x]!, b[x]!, c[x]!, pixels, at);
        break;
      case 'ycck':
        // The colours are those of 255 - ink, stored inverted once more: twice 255 - x is x.
        yccToRgb(a[x]!, b[x]!, c[x]!, pixels, at);
        for (let i = 0; i < 3; i++) pixels[at + i] = withBlack(pixels[at + i]!, d[x]!);
        break;
      case 'cmyk':
        pixels[at] = withBlack(255 - a[x]!, d[x]!);
        pixels[at + 1] = withBlack(255 - b[x]!, d[x]!);
        pixels[at + 2] = withBlack(255 - c[x]!, d[x]!);
        break;
      default:
        colour satisfies never;
    }
  }
}

function yccToRgb(y: number, cb: number, cr: number, pixels: Uint8Array, at: number): void {
  const u = cb - 128;
  const v = cr - 128;
  pixels[at] = clamp(y + ((CR_TO_R * v + HALF) >> SCALE_BITS));
  pixels[at + 1] = clamp(y + ((HALF - CB_TO_G * u - CR_TO_G * v) >> SCALE_BITS));
  pixels[at + 2] = clamp(y + ((CB_TO_B * u + HALF) >> SCALE_BITS));
}

/** light - ink * light / 255, rounded; `ink` is 0 for none, `light` what black lets through. */
function withBlack(ink: number, light: number): number {
  const product = ink * light + 128;
  return clamp(light - (((product >> 8) + product) >> 8));
}

function clamp(x: number): number {
  return Math.min(Math.max(x, 0), 255);
}
