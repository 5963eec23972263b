// Codes as blocks in a file have them, four at a time in the bytes of a u32.
import { pack4Bits } from './codes4';
import { pack5Bits } from './codes5';

function nibbles(at: usize, up: u32): u32 {
  return (load<u32>(at) >> up) & 0x0f0f0f0f;
}

/** Packs 32 codes: 16 nibbles of the bytes from `first` on, 4 bits up or not, then 16 of those from `last` on. */
export function packNibbles(to: usize, first: usize, last: usize, upFirst: u32, upLast: u32): void {
  pack4Bits(
    to,
    nibbles(first, upFirst),
    nibbles(first + 4, upFirst),
    nibbles(first + 8, upFirst),
    nibbles(first + 12, upFirst),
    nibbles(last, upLast),
    nibbles(last + 4, upLast),
    nibbles(last + 8, upLast),
    nibbles(last + 12, upLast),
  );
}

/** Packs 32 codes of 5 bits: nibbles of 16 bytes, low ones first, and the fifth bits, code 0 in the lowest. */
export function packQ5(to: usize, low: usize, high: u32): void {
  pack5Bits(
    to,
    nibbles(low, 0) | fifthBits(high),
    nibbles(low + 4, 0) | fifthBits(high >> 4),
    nibbles(low + 8, 0) | fifthBits(high >> 8),
    nibbles(low + 12, 0) | fifthBits(high >> 12),
    nibbles(low, 4) | fifthBits(high >> 16),
    nibbles(low + 4, 4) | fifthBits(high >> 20),
    nibbles(low + 8, 4) | fifthBits(high >> 24),
    nibbles(low + 12, 4) | fifthBits(high >> 28),
  );
}

/** The lowest four bits, one as the fifth bit of each byte: copies 7 bits apart put bit i at bit 8 i. */
function fifthBits(high: u32): u32 {
  return (((high & 0x0f) * 0x00204081) & 0x01010101) << 4;
}
