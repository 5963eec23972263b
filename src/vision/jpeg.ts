import { CapacityError, FormatError, UnsupportedError } from '../core/errors.ts';
import { readOrientation } from './exif.ts';
import { checkPixels, type DecodedImage, type Orientation } from './image.ts';
import { buildHuffman, type HuffmanTable, JpegBits } from './jpeg_bits.ts';
import { type JpegColour, rowToRgb } from './jpeg_colour.ts';
import { BLOCK, type Component, type Frame, type Scan, type ScanPart, ZIGZAG } from './jpeg_frame.ts';
import { samplesOf, upsampled } from './jpeg_samples.ts';
import { decodeScan } from './jpeg_scan.ts';

/** Markers, the byte after FF. T.81, table B.1. */
const SOF_BASELINE = 0xc0;
const SOF_EXTENDED = 0xc1;
const SOF_PROGRESSIVE = 0xc2;
const DHT = 0xc4;
const JPG = 0xc8;
const DAC = 0xcc;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const DQT = 0xdb;
const DRI = 0xdd;
const APP0 = 0xe0;
const APP1 = 0xe1;
const APP14 = 0xee;

/** Progressive pictures have about ten; a file of a few bytes for each of thousands would take hours. */
const MAX_SCANS = 100;
/** T.81, B.2.3: blocks of an MCU. */
const MAX_MCU_BLOCKS = 10;
/** Bits that a coefficient of 8-bit pictures may be short of. T.81, G.1.1.1.2. */
const MAX_LOW = 13;

/** What the segments have said so far. */
interface State {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly maxPixels: number;
  frame: Frame | null;
  /** By table id; natural order. */
  readonly quant: (Uint16Array | undefined)[];
  /** Of each component of the frame: the table in force when its first scan started. */
  readonly quantUsed: (Uint16Array | undefined)[];
  readonly dc: (HuffmanTable | undefined)[];
  readonly ac: (HuffmanTable | undefined)[];
  restartInterval: number;
  nScans: number;
  isJfif: boolean;
  /** The colour transform of an Adobe segment: 0 none, 1 YCC, 2 YCCK. */
  adobe: number | null;
  orientation: Orientation;
}

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === SOI && bytes[2] === 0xff;
}

/**
 * Decodes a JPEG to RGB: baseline, extended and progressive with Huffman codes, 8 bits; grey, YCC, RGB, CMYK and YCCK.
 * The pixels are those of libjpeg-turbo with its default settings (and so of Pillow): the same transform, the same
 * interpolation of colours, the same roundings. Colour profiles are not applied, as there.
 *
 * Throws FormatError when the file is damaged, cut short, or its size is more than its data can hold; CapacityError when it has
 * more than maxPixels or 100 scans; UnsupportedError for other kinds of JPEG. The size is checked before pixels are allocated.
 * Source: ITU-T T.81 (JPEG), T.871 (JFIF).
 */
export function decodeJpeg(bytes: Uint8Array, name: string, maxPixels: number): DecodedImage {
  const state: State = {
    bytes,
    name,
    maxPixels,
    frame: null,
    quant: [],
    quantUsed: [],
    dc: [],
    ac: [],
    restartInterval: 0,
    nScans: 0,
    isJfif: false,
    adobe: null,
    orientation: 1,
  };
  readSegments(state);
  const { frame } = state;
  if (frame === null) throw new FormatError(`${name}: ends without a picture; it is cut short`, bytes.length);
  const missing = frame.components.findIndex((_, i) => state.quantUsed[i] === undefined);
  if (missing >= 0) {
    throw new FormatError(
      `${name}: component ${frame.components[missing]!.id} has no scan; it is cut short`,
      bytes.length,
    );
  }
  return { width: frame.width, height: frame.height, pixels: toRgb(state, frame), orientation: state.orientation };
}

function readSegments(state: State): void {
  const { bytes, name } = state;
  for (let at = 2; ; ) {
    if (at + 2 > bytes.length) {
      // One scan holds all of a sequential picture: cameras that lose the end marker lose nothing else.
      if (isWhole(state)) return;
      throw new FormatError(`${name}: ends without its end marker; it is cut short`, at);
    }
    const marker = bytes[at + 1]!;
    if (bytes[at] !== 0xff || marker === 0) throw new FormatError(`${name}: has no marker here; it is damaged`, at);
    if (marker === 0xff) {
      at++; // filling
      continue;
    }
    if (marker === EOI) return;
    const length = at + 4 <= bytes.length ? (bytes[at + 2]! << 8) | bytes[at + 3]! : 0;
    if (length < 2 || at + 2 + length > bytes.length) {
      throw new FormatError(
        `${name}: segment ${hex(marker)} says ${length} bytes, the file has ${bytes.length - at - 2} left; it is cut short or damaged`,
        at,
      );
    }
    const data = bytes.subarray(at + 4, at + 2 + length);
    at += 2 + length;
    if (marker === SOS) at = readScan(state, data, at);
    else readSegment(state, marker, data, at - data.length);
  }
}

/** True when every component has been sent completely by sequential scans. */
function isWhole(state: State): boolean {
  return (
    state.frame !== null && !state.frame.isProgressive && state.frame.components.every((_, i) => state.quantUsed[i])
  );
}

/** at: where the segment's data starts in the file. */
function readSegment(state: State, marker: number, data: Uint8Array, at: number): void {
  if (marker === DQT) readQuant(state, data, at);
  else if (marker === DHT) readHuffman(state, data, at);
  else if (marker === DRI) {
    if (data.length !== 2) throw new FormatError(`${state.name}: DRI has ${data.length} bytes, expected 2`, at);
    state.restartInterval = (data[0]! << 8) | data[1]!;
  } else if (marker === APP0) state.isJfif ||= startsWith(data, 'JFIF\0');
  else if (marker === APP1 && startsWith(data, 'Exif\0')) state.orientation = readOrientation(data.subarray(6));
  else if (marker === APP14 && startsWith(data, 'Adobe') && data.length >= 12) state.adobe = data[11]!;
  else if (marker === DAC)
    throw new UnsupportedError(`${state.name}: has arithmetic codes; save it as a baseline JPEG`);
  else if (marker >= SOF_BASELINE && marker <= 0xcf && marker !== JPG) readFrame(state, marker, data, at);
}

function readQuant(state: State, data: Uint8Array, start: number): void {
  for (let at = 0; at < data.length; ) {
    const [is16Bit, id] = [data[at]! >> 4, data[at]! & 15];
    const nBytes = BLOCK * (is16Bit === 0 ? 1 : 2);
    if (is16Bit > 1 || id > 3 || at + 1 + nBytes > data.length) {
      throw new FormatError(`${state.name}: quantization table ${id} is damaged`, start + at);
    }
    const table = new Uint16Array(BLOCK);
    for (let k = 0; k < BLOCK; k++) {
      table[ZIGZAG[k]!] = is16Bit === 0 ? data[at + 1 + k]! : (data[at + 1 + 2 * k]! << 8) | data[at + 2 + 2 * k]!;
    }
    state.quant[id] = table;
    at += 1 + nBytes;
  }
}

function readHuffman(state: State, data: Uint8Array, start: number): void {
  for (let at = 0; at < data.length; ) {
    const [kind, id] = [data[at]! >> 4, data[at]! & 15];
    const counts = data.subarray(at + 1, at + 17);
    const nSymbols = counts.reduce((sum, n) => sum + n, 0);
    const symbols = data.subarray(at + 17, at + 17 + nSymbols);
    const table =
      kind <= 1 && id <= 3 && nSymbols <= 256 && symbols.length === nSymbols ? buildHuffman(counts, symbols) : null;
    if (table === null) throw new FormatError(`${state.name}: Huffman table ${kind}/${id} is damaged`, start + at);
    (kind === 0 ? state.dc : state.ac)[id] = table;
    at += 17 + nSymbols;
  }
}

function readFrame(state: State, marker: number, data: Uint8Array, at: number): void {
  const { name } = state;
  if (marker !== SOF_BASELINE && marker !== SOF_EXTENDED && marker !== SOF_PROGRESSIVE) {
    throw new UnsupportedError(
      `${name}: is a JPEG of kind ${hex(marker)} (lossless, hierarchical or arithmetic); save it as a baseline or progressive JPEG, or as PNG`,
    );
  }
  if (state.frame !== null) throw new FormatError(`${name}: has two frames`, at);
  const nComponents = data[5] ?? 0;
  if (data.length !== 6 + 3 * nComponents)
    throw new FormatError(`${name}: its frame header has ${data.length} bytes`, at);
  const depth = data[0]!;
  const height = (data[1]! << 8) | data[2]!;
  const width = (data[3]! << 8) | data[4]!;
  if (depth !== 8)
    throw new UnsupportedError(`${name}: has ${depth} bits a sample, 8 are supported; save it as an 8-bit JPEG`);
  if (height === 0) throw new UnsupportedError(`${name}: does not say its height; save it again`);
  if (width === 0) throw new FormatError(`${name}: is 0 pixels wide`, at + 3);
  if (![1, 3, 4].includes(nComponents)) {
    throw new UnsupportedError(
      `${name}: has ${nComponents} components, 1 (grey), 3 (colour) and 4 (ink) are supported`,
    );
  }
  checkPixels(name, width, height, state.maxPixels);
  const shapes = Array.from({ length: nComponents }, (_, i) => data.subarray(6 + 3 * i, 9 + 3 * i));
  if (
    shapes.some(([, hv, quantId]) => hv! >> 4 < 1 || hv! >> 4 > 4 || (hv! & 15) < 1 || (hv! & 15) > 4 || quantId! > 3)
  ) {
    throw new FormatError(`${name}: a component has sampling factors or a table that do not exist`, at + 6);
  }
  state.frame = buildFrame(state, width, height, marker === SOF_PROGRESSIVE, shapes, at);
}

function buildFrame(
  { bytes, name }: State,
  width: number,
  height: number,
  isProgressive: boolean,
  shapes: readonly Uint8Array[],
  at: number,
): Frame {
  const hMax = Math.max(...shapes.map((s) => s[1]! >> 4));
  const vMax = Math.max(...shapes.map((s) => s[1]! & 15));
  const nMcuX = Math.ceil(width / (8 * hMax));
  const nMcuY = Math.ceil(height / (8 * vMax));
  const sizes = shapes.map(([id, hv, quantId]) => {
    const [h, v] = [hv! >> 4, hv! & 15];
    const size = { width: Math.ceil((width * h) / hMax), height: Math.ceil((height * v) / vMax) };
    const nBlocks = { nBlocksX: Math.ceil(size.width / 8), nBlocksY: Math.ceil(size.height / 8) };
    return { id: id!, h, v, quantId: quantId!, ...size, ...nBlocks, stride: nMcuX * h };
  });
  // A block's DC coefficient takes a bit at least: what the file cannot hold is not allocated.
  const nBlocks = sizes.reduce((sum, s) => sum + s.nBlocksX * s.nBlocksY, 0);
  if (nBlocks > 8 * bytes.length) {
    throw new FormatError(
      `${name}: ${width} x ${height} pixels are ${nBlocks} blocks, its ${bytes.length} bytes cannot hold them; it is cut short or its header is wrong`,
      at,
    );
  }
  const components = sizes.map((s) => ({ ...s, coefficients: new Int16Array(BLOCK * s.stride * nMcuY * s.v) }));
  return { width, height, isProgressive, hMax, vMax, nMcuX, nMcuY, components };
}

/** Reads a scan's header and its data, which starts at `at`. Returns where the next marker is. */
function readScan(state: State, data: Uint8Array, at: number): number {
  const { frame, name } = state;
  if (frame === null) throw new FormatError(`${name}: has a scan before its frame`, at);
  if (++state.nScans > MAX_SCANS) {
    throw new CapacityError(`${name}: has more than ${MAX_SCANS} scans; save it again as a baseline JPEG`);
  }
  const nParts = data[0] ?? 0;
  if (nParts < 1 || nParts > 4 || data.length !== 4 + 2 * nParts) {
    throw new FormatError(`${name}: a scan's header says ${nParts} components in ${data.length} bytes`, at);
  }
  const [first, last, highLow] = data.subarray(1 + 2 * nParts) as unknown as [number, number, number];
  const [high, low] = [highLow >> 4, highLow & 15];
  const { isProgressive } = frame;
  const isDc = first === 0;
  const inOrder = isProgressive
    ? (isDc ? last === 0 : first <= last && last < BLOCK && nParts === 1) &&
      low <= MAX_LOW &&
      (high === 0 || high === low + 1)
    : first === 0 && last === BLOCK - 1 && highLow === 0;
  if (!inOrder)
    throw new FormatError(
      `${name}: a scan of coefficients ${first} to ${last}, bits ${high}/${low}, does not exist`,
      at,
    );

  const parts = Array.from({ length: nParts }, (_, i): ScanPart => {
    const index = frame.components.findIndex((c) => c.id === data[1 + 2 * i]);
    const component = frame.components[index];
    if (component === undefined)
      throw new FormatError(`${name}: a scan has component ${data[1 + 2 * i]}, the frame has not`, at);
    state.quantUsed[index] ??= state.quant[component.quantId];
    const tables = data[2 + 2 * i]!;
    const [dc, ac] = [state.dc[tables >> 4] ?? null, state.ac[tables & 15] ?? null];
    const needsDc = isDc && high === 0;
    const needsAc = !isProgressive || !isDc;
    if ((needsDc && dc === null) || (needsAc && ac === null) || state.quantUsed[index] === undefined) {
      throw new FormatError(`${name}: component ${component.id} needs a table that the file has not given`, at);
    }
    return { component, dc, ac };
  });
  checkParts(
    parts.map((p) => p.component),
    name,
    at,
  );
  const bits = new JpegBits(state.bytes, at, name);
  const scan: Scan = { parts, first, last, low, isFirst: high === 0 };
  decodeScan(frame, scan, state.restartInterval, bits);
  return nextMarker(state.bytes, bits.position);
}

function checkParts(components: readonly Component[], name: string, at: number): void {
  const nBlocks = components.reduce((sum, c) => sum + c.h * c.v, 0);
  if (new Set(components).size === components.length && (components.length === 1 || nBlocks <= MAX_MCU_BLOCKS)) return;
  throw new FormatError(
    `${name}: a scan has a component twice, or ${nBlocks} blocks in a unit (at most ${MAX_MCU_BLOCKS})`,
    at,
  );
}

/** Behind a scan: bytes up to the next marker that is no restart marker are filling. */
function nextMarker(bytes: Uint8Array, start: number): number {
  for (let at = start; at + 1 < bytes.length; at++) {
    const marker = bytes[at + 1]!;
    if (bytes[at] === 0xff && marker !== 0 && (marker < 0xd0 || marker > 0xd7)) return at;
  }
  return bytes.length;
}

function toRgb(state: State, frame: Frame): Uint8Array {
  const colour = colourOf(state, frame);
  const readers = frame.components.map((c, i) => upsampled(samplesOf(c, state.quantUsed[i]!), frame, state.name));
  const rows = frame.components.map(() => new Uint8Array(frame.width));
  const pixels = new Uint8Array(3 * frame.width * frame.height);
  for (let y = 0; y < frame.height; y++) {
    for (const [i, read] of readers.entries()) read(y, rows[i]!);
    rowToRgb(colour, rows, pixels, 3 * y * frame.width);
  }
  return pixels;
}

/** The file may say it in three places; the order is libjpeg's: JFIF, then Adobe's segment, then the components' ids. */
function colourOf({ isJfif, adobe }: State, { components }: Frame): JpegColour {
  if (components.length === 1) return 'grey';
  if (components.length === 4) return adobe === null || adobe === 0 ? 'cmyk' : 'ycck';
  if (isJfif) return 'ycc';
  if (adobe !== null) return adobe === 0 ? 'rgb' : 'ycc';
  return String.fromCharCode(...components.map((c) => c.id)) === 'RGB' ? 'rgb' : 'ycc';
}

function startsWith(data: Uint8Array, text: string): boolean {
  return [...text].every((c, i) => data[i] === c.charCodeAt(0));
}

function hex(marker: number): string {
  return `FF ${marker.toString(16).toUpperCase()}`;
}
