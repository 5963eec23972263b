import { FormatError } from '../core/errors.ts';

/** What IHDR says. */
export interface PngFormat {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample. */
  readonly depth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colourType: number;
  readonly isInterlaced: boolean;
  readonly nSamples: number;
}

/** The pixels x = startX + i * stepX, y = startY + j * stepY; a picture that is not interlaced is one pass. */
export interface Pass {
  readonly startX: number;
  readonly startY: number;
  readonly stepX: number;
  readonly stepY: number;
  readonly width: number;
  readonly height: number;
  /** Without the byte that names the filter. */
  readonly rowBytes: number;
}

/** Adam7: start and step in x, start and step in y. ISO 15948, 8.2. */
const ADAM7 = [
  [0, 8, 0, 8],
  [4, 8, 0, 8],
  [0, 4, 4, 8],
  [2, 4, 0, 4],
  [0, 2, 2, 4],
  [1, 2, 0, 2],
  [0, 1, 1, 2],
] as const;
const WHOLE = [[0, 1, 0, 1]] as const;

/** Samples of a pixel. */
export function nSamplesOf(colourType: number): number {
  return colourType === 2 ? 3 : colourType === 4 ? 2 : colourType === 6 ? 4 : 1;
}

/** The passes that have pixels, in the file's order. */
export function passesOf(format: PngFormat): Pass[] {
  return (format.isInterlaced ? ADAM7 : WHOLE).flatMap(([startX, stepX, startY, stepY]) => {
    const width = Math.ceil((format.width - startX) / stepX);
    const height = Math.ceil((format.height - startY) / stepY);
    const rowBytes = Math.ceil((width * format.depth * format.nSamples) / 8);
    return width > 0 && height > 0 ? [{ startX, startY, stepX, stepY, width, height, rowBytes }] : [];
  });
}

/**
 * Undoes the filters of one pass, whose rows start at `start` in `data` (in place), and writes its pixels as RGB.
 * Returns where the next pass starts. Throws FormatError for a filter that does not exist, or an index beyond the palette.
 */
export function expandPass(
  format: PngFormat,
  pass: Pass,
  data: Uint8Array,
  start: number,
  palette: Uint8Array | null,
  pixels: Uint8Array,
  name: string,
): number {
  const back = Math.max(1, (format.depth * format.nSamples) >> 3);
  let previous: Uint8Array = new Uint8Array(pass.rowBytes);
  let at = start;
  for (let j = 0; j < pass.height; j++) {
    const filter = data[at]!;
    const row = data.subarray(at + 1, at + 1 + pass.rowBytes);
    if (filter > 4) throw new FormatError(`${name}: row ${j} has filter ${filter}, expected 0 to 4`, at);
    unfilter(filter, row, previous, back);
    expandRow(
      format,
      pass,
      row,
      palette,
      pixels,
      3 * ((pass.startY + j * pass.stepY) * format.width + pass.startX),
      name,
    );
    previous = row;
    at += 1 + pass.rowBytes;
  }
  return at;
}

/** ISO 15948, 9.2. Sums are modulo 256, as the array stores them. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, back: number): void {
  if (filter === 0) return;
  for (let i = 0; i < row.length; i++) {
    const left = i < back ? 0 : row[i - back]!;
    const up = above[i]!;
    let predicted: number;
    if (filter === 1) predicted = left;
    else if (filter === 2) predicted = up;
    else if (filter === 3) predicted = (left + up) >> 1;
    else predicted = paeth(left, up, i < back ? 0 : above[i - back]!);
    row[i] = row[i]! + predicted;
  }
}

/** Of the three neighbours the one closest to left + up - upLeft; the first of equals. */
function paeth(left: number, up: number, upLeft: number): number {
  const estimate = left + up - upLeft;
  const toLeft = Math.abs(estimate - left);
  const toUp = Math.abs(estimate - up);
  const toUpLeft = Math.abs(estimate - upLeft);
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}

function expandRow(
  { depth, colourType, nSamples }: PngFormat,
  pass: Pass,
  row: Uint8Array,
  palette: Uint8Array | null,
  pixels: Uint8Array,
  start: number,
  name: string,
): void {
  const isGrey = colourType === 0 || colourType === 4;
  // Full white is all ones, whatever the depth: 255, 85, 17, 1.
  const scale = depth < 8 && isGrey ? 255 / ((1 << depth) - 1) : 1;
  const sampleBytes = depth === 16 ? 2 : 1;
  for (let i = 0, to = start; i < pass.width; i++, to += 3 * pass.stepX) {
    if (colourType === 2 || colourType === 6) {
      // Of 16 bits the first byte is the upper one.
      const from = i * nSamples * sampleBytes;
      pixels[to] = row[from]!;
      pixels[to + 1] = row[from + sampleBytes]!;
      pixels[to + 2] = row[from + 2 * sampleBytes]!;
      continue;
    }
    const value = depth >= 8 ? row[i * nSamples * sampleBytes]! : packedSample(row, i, depth);
    if (colourType === 3) {
      if (3 * value >= palette!.length) {
        throw new FormatError(`${name}: a pixel has colour ${value}, the palette has ${palette!.length / 3}`, 0);
      }
      for (let c = 0; c < 3; c++) pixels[to + c] = palette![3 * value + c]!;
    } else pixels.fill(value * scale, to, to + 3);
  }
}

/** Sample i of 1, 2 or 4 bits: the first one lies in the highest bits. */
function packedSample(row: Uint8Array, i: number, depth: number): number {
  const bit = i * depth;
  return (row[bit >> 3]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}
