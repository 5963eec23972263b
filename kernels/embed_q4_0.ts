// y[t] = row ids[t] of a packed q4_0 matrix, unpacked exactly.    Twin: src/ops/embed.ts
import { f16ToF32 } from './lanes';

const PANEL_ROWS = 16;
const BLOCK_SIZE = 32;
/** A record: codes, [byte / 4][row][byte % 4], then 16 scales; see src/exec/wasm/layout.ts. */
const SCALES: usize = 256;
const RECORD_BYTES: usize = 288;

export function embedQ40(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  const nBlocks = nIn / BLOCK_SIZE;
  for (let t = 0; t < nTokens; t++) {
    const id = load<i32>(ids + ((<usize>t) << 2));
    const row = id % PANEL_ROWS;
    let record = w + <usize>(id / PANEL_ROWS) * <usize>nBlocks * RECORD_BYTES;
    for (let b = 0; b < nBlocks; b++, record += RECORD_BYTES) {
      const d = f16ToF32(load<i16>(record + SCALES + ((<usize>row) << 1)));
      const codes = record + ((<usize>row) << 2);
      for (let k: usize = 0; k < <usize>BLOCK_SIZE / 2; k++) {
        const pair = <i32>load<u8>(codes + ((k >> 2) << 6) + (k & 3));
        store<f32>(y + (k << 2), d * <f32>((pair & 0xf) - 8));
        store<f32>(y + (k << 2), d * <f32>((pair >> 4) - 8), 2 * BLOCK_SIZE); // 16 columns further
      }
      y += 4 * BLOCK_SIZE;
    }
  }
}
