import { type DType, rowBytes } from '../../core/dtype.ts';
import { FORMATS } from '../../quant/formats.ts';
import type { FormatKernels, Kernels } from './kernels.ts';
import { panelBytes, panelRows } from './layout.ts';
import { storedAs } from './stored_as.ts';

/** The same kernels, and for formats that have none those of what they are stored as (stored_as.ts). */
export function withUnpackedFormats(kernels: Kernels, memory: WebAssembly.Memory): Kernels {
  const unpacked = new Map<DType, FormatKernels>();
  return {
    ...kernels,
    format(dtype) {
      const stored = storedAs(dtype);
      if (stored === dtype) return kernels.format(dtype);
      const table = unpacked.get(dtype) ?? unpackedKernels(dtype, kernels.format(stored), memory);
      unpacked.set(dtype, table);
      return table;
    },
  };
}

/**
 * What runs a format that has no kernels of its own: its rows are unpacked exactly, once, into the panels of f32 (layout.ts),
 * and from there on it is f32. It costs 4 bytes a weight.
 *
 * f32: the kernels of f32.  memory: theirs; views of it are taken anew in each call, since it may have grown.
 */
function unpackedKernels(dtype: DType, f32: FormatKernels, memory: WebAssembly.Memory): FormatKernels {
  return {
    embed: f32.embed,
    f32: f32.f32,
    q8: undefined,
    repack(dst, src, nRows, nIn) {
      const nBytes = rowBytes(dtype, nIn);
      const rows = new Uint8Array(memory.buffer, src >>> 0, nRows * nBytes);
      const lanes = panelRows(dtype);
      const panelFloats = panelBytes(dtype, nIn) / Float32Array.BYTES_PER_ELEMENT;
      const panels = new Float32Array(memory.buffer, dst >>> 0, Math.ceil(nRows / lanes) * panelFloats);
      if (nRows % lanes > 0) panels.fill(0, panels.length - panelFloats);
      const row = new Float32Array(nIn);
      let isAllFinite = 1;
      for (let r = 0; r < nRows; r++) {
        FORMATS[dtype].unpack(rows, r * nBytes, row, 0, nIn);
        let to = Math.floor(r / lanes) * panelFloats + (r % lanes);
        for (let k = 0; k < nIn; k++, to += lanes) {
          const w = row[k]!;
          panels[to] = w;
          if (w - w !== 0) isAllFinite = 0; // NaN - NaN and infinity - infinity are NaN
        }
      }
      return isAllFinite;
    },
  };
}
