import { f16ToF32 } from '../core/half.ts';
import { blockLayout, readU16, SUPER_BLOCK_SIZE, unpackBlocks } from './ggml_block.ts';
import { IQ1_GRID } from './tables/iq_grids.ts';

/**
 * iq1_m: 256 elements in groups of 8 with a shift by +1/8 or -1/8 each; two groups share a 3-bit scale s; 56 bytes, 1.75 bits
 * an element.
 *
 *   byte    0         31    32                         47                48       49           54       55
 *        [ g0 ] ... [ g31 ][ m1 h1 | m0 h0 ] ... [ m31 h31 | m30 h30 ][ q0: u16, LE ] ... [ q3: u16, LE ]
 *
 *   nibbles: bit 3 = m, bits 2..0 = h. g with h picks eight values -1, 0 or 1 from a codebook of 2048.
 *   q: bits 11..0 = four s, the first in the lowest three bits; bits 15..12 = a quarter of d: an f16 whose lowest four bits are
 *   in q0. It is the one format without a scale in one piece.
 *
 *        w[8 l + i] = d * (2 s[l / 2] + 1) * (grid[h[l] * 256 + g[l]][i] + delta[l])        delta = m ? -1/8 : 1/8
 *
 * Packing is a search through the codebook that ggml only does with importance data; it is not offered here.
 */
const IQ1_M_BLOCK = blockLayout('iq1_m');
const HIGH_AT = 32;
const WORDS_AT = 48;
const GROUP = 8;
/** IQ1M_DELTA of ggml-common.h. */
const DELTA = 1 / 8;

/**
 * out[outOffset + i] = w[i] as drawn above, exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ1_M(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(IQ1_M_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  let dBits = 0;
  for (let q = 0; q < 4; q++) dBits |= (readU16(bytes, at + WORDS_AT + 2 * q) >>> 12) << (4 * q);
  const d = f16ToF32(dBits);
  for (let l = 0; l < SUPER_BLOCK_SIZE / GROUP; l++) {
    const s = (readU16(bytes, at + WORDS_AT + 2 * (l >> 3)) >>> (3 * ((l >> 1) & 3))) & 7;
    const nibble = (bytes[at + HIGH_AT + (l >> 1)]! >>> (4 * (l & 1))) & 0x0f;
    const delta = nibble & 8 ? -DELTA : DELTA;
    const first = GROUP * (((nibble & 7) << 8) | bytes[at + l]!);
    const scale = d * (2 * s + 1);
    for (let i = 0; i < GROUP; i++) out[to + GROUP * l + i] = scale * (IQ1_GRID[first + i]! + delta);
  }
}
