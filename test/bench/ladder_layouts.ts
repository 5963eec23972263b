import { rowBytes } from '../../src/core/dtype.ts';
import { allocQuantizedRow, quantizeActivations } from '../../src/quant/activations.ts';
import { BLOCK_SIZE } from '../../src/quant/block.ts';
import { allocCodedBlock } from '../../src/quant/coded_block.ts';
import { Q4_0 } from '../../src/quant/q4_0.ts';

/** The memory layouts that kernels/ladder reads, written plainly: what repack kernels do when a model is loaded. */

const PANEL_ROWS = 8;

/** f32 rows [nOut, nIn] as panels [ceil(nOut / 8)][nIn][8], zeros behind the last row: see kernels/ladder/packed.ts. */
export function packPanels(bytes: Uint8Array, nOut: number, nIn: number): Uint8Array {
  const rows = new Float32Array(bytes.buffer, bytes.byteOffset, nOut * nIn);
  const panels = new Float32Array(Math.ceil(nOut / PANEL_ROWS) * PANEL_ROWS * nIn);
  for (let o = 0; o < nOut; o++) {
    const panel = (o - (o % PANEL_ROWS)) * nIn + (o % PANEL_ROWS);
    for (let k = 0; k < nIn; k++) panels[panel + k * PANEL_ROWS] = rows[o * nIn + k]!;
  }
  return new Uint8Array(panels.buffer);
}

const RECORD_ROWS = 16;
const GROUP_ROWS = 4;
const GROUP_BYTES = 64;
const RECORD_BYTES = 320;
/** Stored codes are 0..15. */
const CODE_OFFSET = 8;

/** q4_0 rows [nOut, nIn] as records of 16 rows x 32 columns: see kernels/ladder/integer.ts. Missing rows are zeros. */
export function packRecords(bytes: Uint8Array, nOut: number, nIn: number): Uint8Array {
  const nBlocks = nIn / BLOCK_SIZE;
  const packed = new Uint8Array(Math.ceil(nOut / RECORD_ROWS) * nBlocks * RECORD_BYTES);
  const view = new DataView(packed.buffer);
  const block = allocCodedBlock(Q4_0);
  for (let o = 0; o < nOut; o++) {
    const r = o % RECORD_ROWS;
    for (let b = 0; b < nBlocks; b++) {
      Q4_0.read(bytes, o * rowBytes('q4_0', nIn) + b * Q4_0.blockBytes, block);
      const { codes, d } = block;
      const record = (((o - r) / RECORD_ROWS) * nBlocks + b) * RECORD_BYTES;
      const group = record + Math.floor(r / GROUP_ROWS) * GROUP_BYTES + (r % GROUP_ROWS) * 4;
      for (let c = 0; c < BLOCK_SIZE / 2; c++) {
        const low = codes[c]! + CODE_OFFSET;
        const high = codes[c + BLOCK_SIZE / 2]! + CODE_OFFSET;
        packed[group + (c >> 2) * 16 + (c & 3)] = low | (high << 4);
      }
      view.setFloat32(record + RECORD_ROWS * (BLOCK_SIZE / 2) + 4 * r, d, true);
    }
  }
  return packed;
}

/** `wide`: codes as i16 and one start of the sums; `narrow`: codes as i8 and two starts. */
export type TokenForm = 'wide' | 'narrow';

const TOKEN_RECORD_BYTES = { wide: 72, narrow: 40 } as const;
const TILE_TOKENS = 4;
/** Where a token's codes lie within each four, so that shifts of the weights' bytes meet them. */
const WIDE_ORDER = [0, 2, 1, 3];

/**
 * f32 activations [nTokens, nIn] as quantized records, [groups of 4 tokens][nIn / 32][token of the group]: see
 * kernels/ladder/integer.ts (wide) and kernels/ladder/relaxed.ts (narrow).
 */
export function packTokens(x: Float32Array, nTokens: number, nIn: number, form: TokenForm): Uint8Array {
  const nBlocks = nIn / BLOCK_SIZE;
  const recordBytes = TOKEN_RECORD_BYTES[form];
  const packed = new Uint8Array(nTokens * nBlocks * recordBytes);
  const view = new DataView(packed.buffer);
  const row = allocQuantizedRow(nIn);
  for (let t = 0; t < nTokens; t++) {
    quantizeActivations(x, t * nIn, nIn, row);
    const first = t - (t % TILE_TOKENS);
    const groupTokens = Math.min(TILE_TOKENS, nTokens - first);
    for (let b = 0; b < nBlocks; b++) {
      const at = (first * nBlocks + b * groupTokens + (t - first)) * recordBytes;
      const codes = row.codes.subarray(b * BLOCK_SIZE, (b + 1) * BLOCK_SIZE);
      const starts = [0, 0];
      for (const [c, code] of codes.entries()) {
        if (form === 'narrow') view.setInt8(at + c, code);
        else view.setInt16(at + 2 * ((c & ~3) + WIDE_ORDER[c & 3]!), code, true);
        starts[(c >> 1) & 1]! -= CODE_OFFSET * code;
      }
      view.setFloat32(at + recordBytes - 8, row.scales[b]!, true);
      if (form === 'narrow') for (const i of [0, 1]) view.setInt16(at + recordBytes - 4 + 2 * i, starts[i]!, true);
      else view.setInt32(at + recordBytes - 4, starts[0]! + starts[1]!, true);
    }
  }
  return packed;
}
