// The 12 bytes of q4_k and q5_k that hold eight scales and eight minima of 6 bits.    Drawing: src/quant/six_bit_scales.ts

/** Takes them apart into bytes, eight apart: one row of [sub-block][8 rows]. */
export function packSixBitScales(scales: usize, mins: usize, from: usize): void {
  for (let j: usize = 0; j < 4; j++) {
    const s = <u32>load<u8>(from + j);
    const m = <u32>load<u8>(from + j, 4);
    const nibbles = <u32>load<u8>(from + j, 8);
    store<u8>(scales + (j << 3), s & 0x3f);
    store<u8>(mins + (j << 3), m & 0x3f);
    store<u8>(scales + (j << 3), (nibbles & 0x0f) | ((s >> 6) << 4), 32);
    store<u8>(mins + (j << 3), (nibbles >> 4) | ((m >> 6) << 4), 32);
  }
}
