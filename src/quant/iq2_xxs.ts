import { blockLayout, readF16, readU32, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { evenSigns, unpackSigned } from './iq_group.ts';
import { IQ2_XXS_GRID } from './tables/iq_grids.ts';

/**
 * iq2_xxs: 256 elements in eight sub-blocks of 32, each with a 4-bit scale s; 66 bytes, 2.0625 bits an element.
 *
 *   byte   0    1    2          9          58         65
 *        [ d: f16 ][ sub-block 0 ] ... [ sub-block 7 ]
 *
 *   sub-block: byte   0     1     2     3     4                              7
 *                   [ g0 ][ g1 ][ g2 ][ g3 ][ u32, LE: s | n3 | n2 | n1 | n0 ]
 *                                                bits  31..28, then seven bits each
 *
 * g picks eight magnitudes from a codebook of 256, n seven of their signs (see `evenSigns`).
 *
 *        w[32 j + 8 l + i] = d * (s + 1/2) / 4 * grid[g[l]][i], negative where bit i of the signs of n[l] is set
 *
 * Packing is a search through the codebook that ggml only does with importance data; it is not offered here.
 */
const IQ2_XXS_BLOCK = blockLayout('iq2_xxs');
const SUB_BLOCKS_AT = 2;
const SUB_BLOCK = 32;
const SUB_BLOCK_BYTES = 8;
const GROUP = 8;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ2_XXS(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ2_XXS_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let j = 0; j < SUPER_BLOCK_SIZE / SUB_BLOCK; j++) {
    const subBlock = at + SUB_BLOCKS_AT + SUB_BLOCK_BYTES * j;
    const word = readU32(bytes, subBlock + 4);
    const scale = (d * ((word >>> 28) + 0.5)) / 4;
    for (let l = 0; l < SUB_BLOCK / GROUP; l++) {
      const signs = evenSigns((word >>> (7 * l)) & 0x7f);
      const first = GROUP * bytes[subBlock + l]!;
      unpackSigned(scale, IQ2_XXS_GRID, first, GROUP, signs, out, to + SUB_BLOCK * j + GROUP * l);
    }
  }
}
