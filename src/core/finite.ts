/** The exponent of infinities and NaN in binary32, and what carries it into the sign. */
const EXPONENT = 0x7f80_0000;
const ONE_EXPONENT = 0x0080_0000;

/** Whether no element is NaN or infinite. */
export function allFinite(data: Float32Array | Float64Array): boolean {
  if (data instanceof Float32Array) return allFinite32(new Int32Array(data.buffer, data.byteOffset, data.length));
  return data.every((v) => Number.isFinite(v));
}

/**
 * By bits, and four at a time without a branch: it runs on 50,000 logits for every token, and asking each number takes up to three
 * times as long.
 */
function allFinite32(bits: Int32Array): boolean {
  const n = bits.length;
  let carried = 0; // its sign
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    carried |=
      ((bits[i]! & EXPONENT) + ONE_EXPONENT) |
      ((bits[i + 1]! & EXPONENT) + ONE_EXPONENT) |
      ((bits[i + 2]! & EXPONENT) + ONE_EXPONENT) |
      ((bits[i + 3]! & EXPONENT) + ONE_EXPONENT);
  }
  for (; i < n; i++) carried |= (bits[i]! & EXPONENT) + ONE_EXPONENT;
  return carried >= 0;
}
