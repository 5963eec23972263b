import { rowBytes } from '../core/dtype.ts';
import { UnsupportedError } from '../core/errors.ts';
import { BLOCK_SIZE } from '../quant/block.ts';
import { packQ4_0, unpackQ4_0 } from '../quant/q4_0.ts';
import { packQ8_0, unpackQ8_0 } from '../quant/q8_0.ts';
import { LANE_POSITIONS } from './layout.ts';
import type { KOrV } from './slab.ts';

/** How a cache stores its rows: as they are, or rounded to blocks of 32 head dims. */
export const KV_TYPES = ['f32', 'q8_0', 'q4_0'] as const;
export type KvType = (typeof KV_TYPES)[number];
export type KvCode = Exclude<KvType, 'f32'>;

/** A row that holds NaN or an infinity in a block has this scale there, and codes 0: the whole block reads as NaN. */
const NAN_SCALE = 0x7e00;

const BLOCKS = {
  q8_0: { pack: packQ8_0, unpack: unpackQ8_0 },
  q4_0: { pack: packQ4_0, unpack: unpackQ4_0 },
} as const;

const CODES_OF_BLOCK: Readonly<Record<KvCode, number>> = { q8_0: BLOCK_SIZE, q4_0: BLOCK_SIZE / 2 };

/** Bytes of one kv head's stretch, for nPositions in whole blocks of 16. */
export function codedBytes(code: KvCode, headDim: number, nPositions: number): number {
  return nPositions * rowBytes(code, headDim);
}

/** Throws UnsupportedError when rows of this size are not whole blocks. */
export function checkCoded(code: KvCode, headDim: number): void {
  if (headDim % BLOCK_SIZE !== 0) {
    throw new UnsupportedError(
      `kv cache: type ${code} takes rows in blocks of ${BLOCK_SIZE}, headDim is ${headDim}; use type f32`,
    );
  }
}

/**
 * Byte of code i, and of the scale, of a row's block, from the start of the stretch. A row of one kv head is headDim / 32 blocks of its format (src/quant: a scale and 32 codes), taken
 * apart so that a kernel finds what its lanes need side by side. The stretch of one kv head, 16 positions at a time:
 *
 *   codes [16 positions x headDim] | scales f16 [16 positions x headDim / 32]
 *
 *   K   codes [headDim][16], scales [headDim / 32][16]: lanes are positions
 *   V   codes [16][headDim], scales [16][headDim / 32]: lanes are head dims
 *   q4_0: a byte holds head dims i (low half) and i + 16 (high) of a block, so codes are [headDim / 2][16] and [16][headDim / 2]
 *
 * As many bytes as the blocks of the format itself: 34 (q8_0) or 18 (q4_0) for 32 elements, against 128 in f32.
 */
function placesOf(code: KvCode, which: KOrV, headDim: number, position: number, block: number) {
  const nCodes = CODES_OF_BLOCK[code];
  const nBlocks = headDim / BLOCK_SIZE;
  const lane = position % LANE_POSITIONS;
  const group = ((position - lane) / LANE_POSITIONS) * codedBytes(code, headDim, LANE_POSITIONS);
  const scales = group + LANE_POSITIONS * nBlocks * nCodes;
  return which === 0
    ? {
        code: (i: number): number => group + (block * nCodes + i) * LANE_POSITIONS + lane,
        scale: scales + 2 * (block * LANE_POSITIONS + lane),
      }
    : {
        code: (i: number): number => group + (lane * nBlocks + block) * nCodes + i,
        scale: scales + 2 * (lane * nBlocks + block),
      };
}

/** Stores row x[from .. from + headDim) of a position, rounded. at: byte of the stretch. */
export function packRow(
  code: KvCode,
  which: KOrV,
  headDim: number,
  x: Float32Array,
  from: number,
  bytes: Uint8Array,
  at: number,
  position: number,
): void {
  const packed = new Uint8Array(rowBytes(code, BLOCK_SIZE)); // as in a file: f16 scale, codes
  for (let block = 0; block < headDim / BLOCK_SIZE; block++) {
    const first = from + block * BLOCK_SIZE;
    if (x.subarray(first, first + BLOCK_SIZE).every(Number.isFinite)) {
      BLOCKS[code].pack(x, first, BLOCK_SIZE, packed, 0);
    } else {
      packed.fill(0);
      packed[0] = NAN_SCALE & 0xff;
      packed[1] = NAN_SCALE >> 8;
    }
    const places = placesOf(code, which, headDim, position, block);
    bytes[at + places.scale] = packed[0]!;
    bytes[at + places.scale + 1] = packed[1]!;
    for (let i = 0; i < CODES_OF_BLOCK[code]; i++) bytes[at + places.code(i)] = packed[2 + i]!;
  }
}

/** out[to .. to + headDim) = the stored row: fround(scale * code). */
export function unpackRow(
  code: KvCode,
  which: KOrV,
  headDim: number,
  bytes: Uint8Array,
  at: number,
  position: number,
  out: Float32Array,
  to: number,
): void {
  const packed = new Uint8Array(rowBytes(code, BLOCK_SIZE));
  for (let block = 0; block < headDim / BLOCK_SIZE; block++) {
    const places = placesOf(code, which, headDim, position, block);
    packed[0] = bytes[at + places.scale]!;
    packed[1] = bytes[at + places.scale + 1]!;
    for (let i = 0; i < CODES_OF_BLOCK[code]; i++) packed[2 + i] = bytes[at + places.code(i)]!;
    BLOCKS[code].unpack(packed, 0, out, to + block * BLOCK_SIZE, BLOCK_SIZE);
  }
}
