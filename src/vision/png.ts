import { crc32 } from '../core/crc32.ts';
import { FormatError, UnsupportedError } from '../core/errors.ts';
import { readOrientation } from './exif.ts';
import { checkPixels, type DecodedImage, type Orientation } from './image.ts';
import { inflateZlib, mostInflatedBytes } from './inflate.ts';
import { expandPass, nSamplesOf, type PngFormat, passesOf } from './png_rows.ts';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Length, type and check sum around a chunk's data. */
const CHUNK_OVERHEAD = 12;
const MAX_SIDE = 2 ** 31 - 1;

/** Depths that a colour type may have. PNG (ISO 15948), table 11.1. */
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
  /** Where the chunk starts in the file. */
  readonly at: number;
}

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/**
 * Decodes a PNG to RGB: every colour type and depth, interlaced or not.
 * Grey is repeated, a palette looked up, alpha left out (not blended), of 16 bits the upper 8 are taken: what Pillow's
 * `convert("RGB")` does, except that Pillow clips 16-bit grey to 255 instead (nearly all of it becomes white).
 *
 * Throws FormatError when the file is damaged or its size is more than its data can hold, CapacityError when it has more than
 * maxPixels; both before pixels are allocated.
 * Source: ISO 15948 (PNG).
 */
export function decodePng(bytes: Uint8Array, name: string, maxPixels: number): DecodedImage {
  const packed: Uint8Array[] = [];
  let format: PngFormat | null = null;
  let palette: Uint8Array | null = null;
  let orientation: Orientation = 1;
  let end = bytes.length;
  for (const chunk of chunks(bytes, name)) {
    if (format === null) {
      if (chunk.type !== 'IHDR')
        throw new FormatError(`${name}: starts with chunk ${chunk.type}, expected IHDR`, chunk.at);
      format = readHeader(chunk, name);
      checkPixels(name, format.width, format.height, maxPixels);
    } else if (chunk.type === 'PLTE') palette = chunk.data;
    else if (chunk.type === 'IDAT') packed.push(chunk.data);
    else if (chunk.type === 'eXIf') orientation = readOrientation(chunk.data);
    else if (chunk.type === 'IEND') end = chunk.at;
    else if ((chunk.type.charCodeAt(0) & 0x20) === 0) {
      throw new UnsupportedError(`${name}: chunk ${chunk.type} is said to be critical, and is not of the PNG standard`);
    }
  }
  if (format === null) throw new FormatError(`${name}: has no chunk IHDR`, SIGNATURE.length);
  if (format.colourType === 3 && (palette === null || palette.length === 0 || palette.length % 3 !== 0)) {
    throw new FormatError(`${name}: its colours are indices, and it has no whole palette (PLTE)`, end);
  }
  return {
    width: format.width,
    height: format.height,
    pixels: unpack(format, join(packed), palette, name),
    orientation,
  };
}

/** Every pass: unpacked, unfiltered and spread over the picture. */
function unpack(format: PngFormat, packed: Uint8Array, palette: Uint8Array | null, name: string): Uint8Array {
  const passes = passesOf(format);
  const nBytes = passes.reduce((sum, pass) => sum + pass.height * (1 + pass.rowBytes), 0);
  if (nBytes > mostInflatedBytes(packed.length)) {
    throw new FormatError(
      `${name}: ${format.width} x ${format.height} pixels take ${nBytes} bytes, its ${packed.length} bytes of data unpack to ` +
        `${mostInflatedBytes(packed.length)} at most; it is cut short or its header is wrong`,
      SIGNATURE.length,
    );
  }
  const rows = inflateZlib(packed, nBytes, name);
  const pixels = new Uint8Array(3 * format.width * format.height);
  let at = 0;
  for (const pass of passes) at = expandPass(format, pass, rows, at, palette, pixels, name);
  return pixels;
}

/** Walks the chunks up to IEND. A critical chunk with a wrong check sum is refused, what others say is not needed. */
function* chunks(bytes: Uint8Array, name: string): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; ; ) {
    if (at + CHUNK_OVERHEAD > bytes.length)
      throw new FormatError(`${name}: ends without chunk IEND; it is cut short`, at);
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (!/^[A-Za-z]{4}$/.test(type)) throw new FormatError(`${name}: has no chunk here; it is damaged`, at);
    if (at + CHUNK_OVERHEAD + length > bytes.length) {
      throw new FormatError(`${name}: chunk ${type} says ${length} bytes, the file ends before; it is cut short`, at);
    }
    const isCritical = (type.charCodeAt(0) & 0x20) === 0;
    const stated = view.getUint32(at + 8 + length);
    if (isCritical && crc32(bytes.subarray(at + 4, at + 8 + length)) !== stated) {
      throw new FormatError(`${name}: chunk ${type} has a wrong check sum; it is damaged`, at);
    }
    yield { type, data: bytes.subarray(at + 8, at + 8 + length), at };
    if (type === 'IEND') return;
    at += CHUNK_OVERHEAD + length;
  }
}

function readHeader({ data, at }: Chunk, name: string): PngFormat {
  if (data.length !== 13) throw new FormatError(`${name}: IHDR has ${data.length} bytes, expected 13`, at);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = data.subarray(8) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (width === 0 || height === 0 || width > MAX_SIDE || height > MAX_SIDE) {
    throw new FormatError(`${name}: is ${width} x ${height}, expected 1 to ${MAX_SIDE} each`, at);
  }
  if (!DEPTHS[colourType]?.includes(depth)) {
    throw new FormatError(`${name}: colour type ${colourType} with ${depth} bits does not exist`, at);
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw new FormatError(
      `${name}: compression ${compression}, filter ${filter}, interlace ${interlace}; expected 0, 0 and 0 or 1`,
      at,
    );
  }
  return { width, height, depth, colourType, isInterlaced: interlace === 1, nSamples: nSamplesOf(colourType) };
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
