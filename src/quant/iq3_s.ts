import { blockLayout, readF16, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { unpackSigned } from './iq_group.ts';
import { IQ3_S_GRID } from './tables/iq_grids.ts';

/**
 * iq3_s: 256 elements in eight sub-blocks of 32, each with a 4-bit scale s; 110 bytes, 3.4375 bits an element.
 *
 *   byte   0    1    2          65     66          73    74         105    106             109
 *        [ d: f16 ][ g0 ] ... [ g63 ][ h7..h0 ] ... ][ n0 ] ... [ n31 ][ s1 | s0 ] ... [ s7 | s6 ]
 *
 *   g with its high bit h picks four magnitudes from a codebook of 512; bit i of n is the sign of the i-th of eight elements.
 *
 *        w[4 q + i] = d * (2 s[q / 8] + 1) * grid[h[q] * 256 + g[q]][i], negative where bit 4 (q mod 2) + i of n[q / 2] is set
 *
 * Packing is a search through the codebook; it is not offered here.
 */
const IQ3_S_BLOCK = blockLayout('iq3_s');
const INDICES_AT = 2;
const HIGH_AT = 66;
const SIGNS_AT = 74;
const SCALES_AT = 106;
const GROUP = 4;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ3_S(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ3_S_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let q = 0; q < SUPER_BLOCK_SIZE / GROUP; q++) {
    const high = (bytes[at + HIGH_AT + (q >> 3)]! >>> (q & 7)) & 1;
    const s = (bytes[at + SCALES_AT + (q >> 4)]! >>> (4 * ((q >> 3) & 1))) & 0x0f;
    const signs = bytes[at + SIGNS_AT + (q >> 1)]! >>> (GROUP * (q & 1));
    const first = GROUP * ((high << 8) | bytes[at + INDICES_AT + q]!);
    unpackSigned(d * (2 * s + 1), IQ3_S_GRID, first, GROUP, signs, out, to + GROUP * q);
  }
}
