/**
 * What the iq2 and iq3 formats share: a point of a codebook gives magnitudes, a few bits give their signs.
 */

/**
 * out[to + i] = scale * grid[first + i], negative where bit i of `signs` is set, for i < n. Exact: scales have 16 significant
 * bits at most, magnitudes 6.
 */
export function unpackSigned(
  scale: number,
  grid: Int8Array,
  first: number,
  n: number,
  signs: number,
  out: Float32Array,
  to: number,
): void {
  for (let i = 0; i < n; i++) {
    const magnitude = scale * grid[first + i]!;
    out[to + i] = (signs >>> i) & 1 ? -magnitude : magnitude;
  }
}

/**
 * Eight signs from seven bits: the eighth makes the number of negative elements even. So formats that store seven lose nothing
 * but the freedom to have an odd number of them.
 * Source: ksigns_iq2xs of ggml-common.h, a table of this rule.
 */
export function evenSigns(sevenBits: number): number {
  let parity = sevenBits ^ (sevenBits >>> 4);
  parity ^= parity >>> 2;
  parity ^= parity >>> 1;
  return sevenBits | ((parity & 1) << 7);
}
