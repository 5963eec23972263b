/** The digits of base64 (RFC 4648), each six bits, here the lowest bit first. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BITS_OF_A_DIGIT = 6;

/**
 * A codebook from its bitmap: points of `dims` coordinates, each one of `values`.
 *
 * Point number p has the coordinates values[p mod b], values[floor(p / b) mod b], ... for b = values.length; bit p of the
 * bitmap says whether it is in. Points are kept in ascending order of p, back to back:
 * the g-th one that is in is [g * dims .. (g + 1) * dims) of the result.
 */
export function gridOf(dims: number, values: readonly number[], bitmap: string): Int8Array {
  const coordinates: number[] = [];
  for (let point = 0; point < values.length ** dims; point++) {
    const digit = DIGITS.indexOf(bitmap[Math.floor(point / BITS_OF_A_DIGIT)]!);
    if (((digit >>> (point % BITS_OF_A_DIGIT)) & 1) === 0) continue;
    for (let i = 0, rest = point; i < dims; i++) {
      coordinates.push(values[rest % values.length]!);
      rest = Math.floor(rest / values.length);
    }
  }
  return Int8Array.from(coordinates);
}
