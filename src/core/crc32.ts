/** Remainders of each byte, of the polynomial x^32 + x^26 + ... + 1 with its bits reversed. */
const POLYNOMIAL = 0xedb88320;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let c = byte;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? POLYNOMIAL ^ (c >>> 1) : c >>> 1;
  return c;
});

/**
 * CRC-32 of `bytes`, from 0 to 2^32 - 1: finds every damage of up to 32 neighbouring bits, and others but for one in 2^32. It
 * keeps nobody from making a file that passes. before: the CRC of what comes before these bytes.
 * Source: PNG specification (W3C), annex D; ISO 3309.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let c = ~before;
  for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8);
  return ~c >>> 0;
}
