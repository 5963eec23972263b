/**
 * The 12 bytes of q4_k and q5_k that hold eight pairs of 6-bit numbers, a scale s and a minimum m for each sub-block:
 *
 *   byte    0 .. 3 (j = 0..3)       4 .. 7                   8 .. 11
 *        [ s[j+4] 5..4 | s[j] ]   [ m[j+4] 5..4 | m[j] ]   [ m[j+4] 3..0 | s[j+4] 3..0 ]
 *
 * The first four pairs lie whole in the low 6 bits; the last four are cut: their upper two bits fill the gaps above.
 */
const N_HALF = 4;
const MINS_AT = 4;
const LOW_NIBBLES_AT = 8;
const WHOLE = 0x3f;

export function readScale(bytes: Uint8Array, at: number, j: number): number {
  if (j < N_HALF) return bytes[at + j]! & WHOLE;
  return (bytes[at + LOW_NIBBLES_AT + j - N_HALF]! & 0x0f) | ((bytes[at + j - N_HALF]! >>> 6) << 4);
}

export function readMin(bytes: Uint8Array, at: number, j: number): number {
  if (j < N_HALF) return bytes[at + MINS_AT + j]! & WHOLE;
  return (bytes[at + LOW_NIBBLES_AT + j - N_HALF]! >>> 4) | ((bytes[at + MINS_AT + j - N_HALF]! >>> 6) << 4);
}

/** Adds pair j (0..63 each) to bytes that hold zeros where it goes. */
export function writePair(bytes: Uint8Array, at: number, j: number, scale: number, min: number): void {
  if (j < N_HALF) {
    bytes[at + j]! |= scale;
    bytes[at + MINS_AT + j]! |= min;
    return;
  }
  bytes[at + LOW_NIBBLES_AT + j - N_HALF] = (scale & 0x0f) | ((min & 0x0f) << 4);
  bytes[at + j - N_HALF]! |= (scale >>> 4) << 6;
  bytes[at + MINS_AT + j - N_HALF]! |= (min >>> 4) << 6;
}
