import { blockLayout, readF16, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { unpackSigned } from './iq_group.ts';
import { IQ2_S_GRID } from './tables/iq_grids.ts';

/**
 * iq2_s: 256 elements in groups of 8, two groups share a 4-bit scale s; 82 bytes, 2.5625 bits an element.
 *
 *   byte   0    1    2          33     34         65    66               73    74              81
 *        [ d: f16 ][ g0 ] ... [ g31 ][ n0 ] ... [ n31 ][ h3 h2 h1 h0 ] ... ][ s1 | s0 ] ... [ s15 | s14 ]
 *
 *   g with its two high bits h picks eight magnitudes from a codebook of 1024; bit i of n is the sign of the i-th.
 *
 *        w[8 l + i] = d * (s[l / 2] + 1/2) / 4 * grid[h[l] * 256 + g[l]][i], negative where bit i of n[l] is set
 *
 * Packing is a search through the codebook; it is not offered here.
 */
const IQ2_S_BLOCK = blockLayout('iq2_s');
const INDICES_AT = 2;
const SIGNS_AT = 34;
const HIGH_AT = 66;
const SCALES_AT = 74;
const GROUP = 8;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ2_S(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ2_S_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let l = 0; l < SUPER_BLOCK_SIZE / GROUP; l++) {
    const high = (bytes[at + HIGH_AT + (l >> 2)]! >>> (2 * (l & 3))) & 3;
    const s = (bytes[at + SCALES_AT + (l >> 2)]! >>> (4 * ((l >> 1) & 1))) & 0x0f;
    const first = GROUP * ((high << 8) | bytes[at + INDICES_AT + l]!);
    const scale = (d * (s + 0.5)) / 4;
    unpackSigned(scale, IQ2_S_GRID, first, GROUP, bytes[at + SIGNS_AT + l]!, out, to + GROUP * l);
  }
}
