import { blockLayout, readF16, readU32, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { evenSigns, unpackSigned } from './iq_group.ts';
import { IQ3_XXS_GRID } from './tables/iq_grids.ts';

/**
 * iq3_xxs: 256 elements in eight sub-blocks of 32, each with a 4-bit scale s; 98 bytes, 3.0625 bits an element.
 *
 *   byte   0    1    2          65     66       69            94       97
 *        [ d: f16 ][ g0 ] ... [ g63 ][ u32, LE, of 0 ] ... [ u32, LE, of 7 ]
 *
 *   g picks four magnitudes from a codebook of 256.
 *   u32 of a sub-block: s (bits 31..28) | n3 | n2 | n1 | n0 (seven bits each), n for seven of the signs of eight elements (see
 *   `evenSigns`).
 *
 *        w[32 j + 8 l + 4 k + i] = d * (s[j] + 1/2) / 2 * grid[g[8 j + 2 l + k]][i],
 *                                  negative where bit 4 k + i of the signs of n[l] is set
 *
 * Packing is a search through the codebook; it is not offered here.
 */
const IQ3_XXS_BLOCK = blockLayout('iq3_xxs');
const INDICES_AT = 2;
const WORDS_AT = 66;
const SUB_BLOCK = 32;
const GROUP = 8;
const HALF = 4;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ3_XXS(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ3_XXS_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let j = 0; j < SUPER_BLOCK_SIZE / SUB_BLOCK; j++) {
    const word = readU32(bytes, at + WORDS_AT + 4 * j);
    const scale = (d * ((word >>> 28) + 0.5)) / 2;
    for (let l = 0; l < SUB_BLOCK / GROUP; l++) {
      const signs = evenSigns((word >>> (7 * l)) & 0x7f);
      const index = at + INDICES_AT + 8 * j + 2 * l;
      const group = to + SUB_BLOCK * j + GROUP * l;
      unpackSigned(scale, IQ3_XXS_GRID, HALF * bytes[index]!, HALF, signs, out, group);
      unpackSigned(scale, IQ3_XXS_GRID, HALF * bytes[index + 1]!, HALF, signs >>> HALF, out, group + HALF);
    }
  }
}
