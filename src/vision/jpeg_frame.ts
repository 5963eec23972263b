import type { HuffmanTable } from './jpeg_bits.ts';

/** Coefficients of a block, and samples: 8 x 8. */
export const BLOCK = 64;

/** One component of the picture: luminance, a colour difference, a colour of ink. */
export interface Component {
  readonly id: number;
  /** Sampling factors: how many blocks of an MCU are its own, across and down. */
  readonly h: number;
  readonly v: number;
  readonly quantId: number;
  /** Its samples: the picture's size times h / hMax, rounded up. */
  readonly width: number;
  readonly height: number;
  /** Blocks that hold samples: what a scan of this component alone has. */
  readonly nBlocksX: number;
  readonly nBlocksY: number;
  /** Blocks in a row of whole MCUs: what is stored. */
  readonly stride: number;
  /** [rows of whole MCUs, stride, 64], quantized, in natural order. */
  readonly coefficients: Int16Array;
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly isProgressive: boolean;
  readonly hMax: number;
  readonly vMax: number;
  readonly nMcuX: number;
  readonly nMcuY: number;
  readonly components: readonly Component[];
}

/** A scan: which components, which coefficients, which bits of them. T.81, B.2.3 and G.1.1.1. */
export interface Scan {
  readonly parts: readonly ScanPart[];
  readonly first: number;
  readonly last: number;
  /** Bits below this one are still to come. */
  readonly low: number;
  /** False: sends bit `low` of coefficients whose higher bits are there. */
  readonly isFirst: boolean;
}

export interface ScanPart {
  readonly component: Component;
  /** null: not needed by this scan. */
  readonly dc: HuffmanTable | null;
  readonly ac: HuffmanTable | null;
}

/** The k-th coefficient of a scan lies at this place of the block. T.81, figure A.6. */
// biome-ignore format: a picture of the block
export const ZIGZAG = new Uint8Array([
   0,  1,  8, 16,  9,  2,  3, 10,
  17, 24, 32, 25, 18, 11,  4,  5,
  12, 19, 26, 33, 40, 48, 41, 34,
  27, 20, 13,  6,  7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36,
  29, 22, 15, 23, 30, 37, 44, 51,
  58, 59, 52, 45, 38, 31, 39, 46,
  53, 60, 61, 54, 47, 55, 62, 63,
]);
