import { checkRun } from './block.ts';

/**
 * f32: no quantization; 4 bytes, little-endian.
 *
 *   byte    0         1         2         3
 *        ffffffff  ffffffff  efffffff  seeeeeee
 */

/** out[outOffset + i] = element i of the n stored at byteOffset. Throws ShapeError when a buffer is too short. */
export function unpackF32(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  checkRun('f32', n, out, outOffset, bytes, byteOffset);
  const view = new DataView(bytes.buffer, bytes.byteOffset + byteOffset, 4 * n);
  for (let i = 0; i < n; i++) out[outOffset + i] = view.getFloat32(4 * i, true);
}

/** Stores x[from .. from + n) at byteOffset. Throws ShapeError when a buffer is too short. */
export function packF32(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  checkRun('f32', n, x, from, bytes, byteOffset);
  const view = new DataView(bytes.buffer, bytes.byteOffset + byteOffset, 4 * n);
  for (let i = 0; i < n; i++) view.setFloat32(4 * i, x[from + i]!, true);
}

/** f32 keeps every value. */
export function worstCaseErrorF32(_amax: number): number {
  return 0;
}
