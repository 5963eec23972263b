// y[t] = row ids[t] of a packed f16 matrix, as f32.    Twin: src/ops/embed.ts
import { f16ToF32 } from './lanes';

const PANEL_ROWS = 8;
/** Bytes of one weight, and from one k of a row to the next. */
const ELEMENT: usize = 2;
const PANEL_STEP: usize = 16;

export function embedF16(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  const panelBytes = <usize>nIn * PANEL_STEP;
  for (let t = 0; t < nTokens; t++) {
    const id = load<i32>(ids + ((<usize>t) << 2));
    let from = w + <usize>(id / PANEL_ROWS) * panelBytes + <usize>(id % PANEL_ROWS) * ELEMENT;
    for (let k = 0; k < nIn; k++, y += 4, from += PANEL_STEP) store<f32>(y, f16ToF32(load<i16>(from)));
  }
}
