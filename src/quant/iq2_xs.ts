import { blockLayout, readF16, readU16, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { evenSigns, unpackSigned } from './iq_group.ts';
import { IQ2_XS_GRID } from './tables/iq_grids.ts';

/**
 * iq2_xs: 256 elements in groups of 8, two groups share a 4-bit scale s; 74 bytes, 2.3125 bits an element.
 *
 *   byte   0    1    2        3          64        65     66              73
 *        [ d: f16 ][ q0: u16, LE ] ... [ q31: u16, LE ][ s1 | s0 ] ... [ s15 | s14 ]
 *
 *   q: bits 8..0 = g, which picks eight magnitudes from a codebook of 512; bits 15..9 = n, seven of their signs (see
 *   `evenSigns`).
 *
 *        w[8 l + i] = d * (s[l / 2] + 1/2) / 4 * grid[g[l]][i], negative where bit i of the signs of n[l] is set
 *
 * Packing is a search through the codebook that ggml only does with importance data; it is not offered here.
 */
const IQ2_XS_BLOCK = blockLayout('iq2_xs');
const GROUPS_AT = 2;
const SCALES_AT = 66;
const GROUP = 8;
const INDEX_BITS = 9;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ2_XS(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ2_XS_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let l = 0; l < SUPER_BLOCK_SIZE / GROUP; l++) {
    const q = readU16(bytes, at + GROUPS_AT + 2 * l);
    const s = (bytes[at + SCALES_AT + (l >> 2)]! >>> (4 * ((l >> 1) & 1))) & 0x0f;
    const first = GROUP * (q & ((1 << INDEX_BITS) - 1));
    const scale = (d * (s + 0.5)) / 4;
    unpackSigned(scale, IQ2_XS_GRID, first, GROUP, evenSigns(q >>> INDEX_BITS), out, to + GROUP * l);
  }
}
