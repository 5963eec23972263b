import { blockLayout, readF16, readU16, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { IQ1_GRID } from './tables/iq_grids.ts';

/**
 * iq1_s: 256 elements in eight sub-blocks of 32, each with a 3-bit scale s and a shift by +1/8 or -1/8; 50 bytes, 1.5625 bits
 * an element.
 *
 *   byte   0    1    2          33     34       35           48        49
 *        [ d: f16 ][ g0 ] ... [ g31 ][ q0: u16, LE ] ... [ q7: u16, LE ]
 *
 *   q: bit 15 = m, bits 14..12 = s, then three high bits h for each of the sub-block's four g: h3 | h2 | h1 | h0.
 *   g with h picks eight values -1, 0 or 1 from a codebook of 2048.
 *
 *        w[32 j + 8 l + i] = d * (2 s[j] + 1) * (grid[h * 256 + g[4 j + l]][i] + delta)        delta = m ? -1/8 : 1/8
 *
 * Packing is a search through the codebook that ggml only does with importance data; it is not offered here.
 */
const IQ1_S_BLOCK = blockLayout('iq1_s');
const INDICES_AT = 2;
const WORDS_AT = 34;
const GROUP = 8;
/** IQ1S_DELTA of ggml-common.h. */
const DELTA = 1 / 8;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ1_S(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ1_S_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let l = 0; l < SUPER_BLOCK_SIZE / GROUP; l++) {
    const word = readU16(bytes, at + WORDS_AT + 2 * (l >> 2));
    const scale = d * (2 * ((word >>> 12) & 7) + 1);
    const delta = word & 0x8000 ? -DELTA : DELTA;
    const high = (word >>> (3 * (l & 3))) & 7;
    const first = GROUP * ((high << 8) | bytes[at + INDICES_AT + l]!);
    for (let i = 0; i < GROUP; i++) out[to + GROUP * l + i] = scale * (IQ1_GRID[first + i]! + delta);
  }
}
