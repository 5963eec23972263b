import { type DType, rowBytes } from '../../core/dtype.ts';
import { assert, ShapeError } from '../../core/errors.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import { type ReadOptions, readTensorBytes, tensorRows } from '../../load/weights.ts';
import type { Arena } from './arena.ts';
import type { Kernels } from './kernels.ts';
import { panelBytes, panelRows } from './layout.ts';

/** Large enough for one read of a file, small enough to stay near the processor. */
const STAGING_BYTES = 2 ** 20;

/**
 * Reads a matrix [sum of the parts' rows, nIn] into its packed layout (layout.ts) at `address`, which has room for
 * `packedBytes`. Some rows of file bytes at a time go into a staging buffer in WASM memory, and a kernel spreads them over
 * their panels, so a weight is never in memory twice. The parts of a merged matrix come one below the other.
 *
 * readOptions: called for each read. Until the promise settles nothing may be allocated in the arena: a growing memory
 * detaches what is being read into.
 * Gives false when a weight (in block formats: a scale) is NaN or infinite.
 * Throws ShapeError when a part's rows are not nIn weights of this format, and what reading throws.
 */
export async function packMatrix(
  parts: readonly TensorInfo[],
  dtype: DType,
  nIn: number,
  address: number,
  kernels: Kernels,
  arena: Arena,
  readOptions: () => ReadOptions = () => ({}),
): Promise<boolean> {
  for (const part of parts) checkRows(part, dtype, nIn);
  const nOut = parts.reduce((n, part) => n + tensorRows(part).nRows, 0);
  const packer = createPacker(dtype, nOut, nIn, address, kernels, arena);
  try {
    for (const part of parts) {
      const { nRows } = tensorRows(part);
      for (let row = 0; row < nRows; ) {
        const n = Math.min(nRows - row, packer.room());
        const into = packer.stage(n);
        await readTensorBytes(part, row * packer.rowBytes, into, readOptions());
        assert(into.byteLength === n * packer.rowBytes, 'the memory did not grow while a weight was read into it');
        packer.advance(n);
        row += n;
      }
    }
    return packer.finish();
  } finally {
    packer.dispose();
  }
}

/** Packs a matrix whose bytes are in memory. As above; throws ShapeError when `bytes` is not [nOut, nIn]. */
export function packBytes(
  bytes: Uint8Array,
  dtype: DType,
  nOut: number,
  nIn: number,
  address: number,
  kernels: Kernels,
  arena: Arena,
): boolean {
  if (bytes.byteLength !== nOut * rowBytes(dtype, nIn)) {
    const expected = nOut * rowBytes(dtype, nIn);
    throw new ShapeError(`${dtype} matrix [${nOut}, ${nIn}] takes ${expected} bytes, got ${bytes.byteLength}`);
  }
  const packer = createPacker(dtype, nOut, nIn, address, kernels, arena);
  try {
    for (let row = 0; row < nOut; ) {
      const n = Math.min(nOut - row, packer.room());
      packer.stage(n).set(bytes.subarray(row * packer.rowBytes, (row + n) * packer.rowBytes));
      packer.advance(n);
      row += n;
    }
    return packer.finish();
  } finally {
    packer.dispose();
  }
}

/** The rows between file and panels: staged until whole panels, or the matrix, are full. */
function createPacker(dtype: DType, nOut: number, nIn: number, address: number, kernels: Kernels, arena: Arena) {
  const bytesPerRow = rowBytes(dtype, nIn);
  const bytesPerPanel = panelBytes(dtype, nIn);
  const rowsPerPanel = panelRows(dtype);
  const nFitting = Math.max(1, Math.floor(STAGING_BYTES / Math.max(1, bytesPerPanel)));
  const capacity = Math.min(nFitting, Math.max(1, Math.ceil(nOut / rowsPerPanel))) * rowsPerPanel;
  const staging = arena.alloc(capacity * bytesPerRow);
  const { repack } = kernels.format(dtype);
  let nStaged = 0;
  let nPacked = 0;
  let isAllFinite = true;

  /** Every flush but a matrix's last one is of whole panels. */
  const flush = (): void => {
    const panel = address + (nPacked / rowsPerPanel) * bytesPerPanel;
    if (repack(panel, staging, nStaged, nIn) === 0) isAllFinite = false;
    nPacked += nStaged;
    nStaged = 0;
  };

  return {
    rowBytes: bytesPerRow,
    /** Rows that can be staged before the next flush: at least one. */
    room: (): number => capacity - nStaged,
    /** Where the next n rows go. */
    stage: (n: number): Uint8Array => arena.bytes(staging + nStaged * bytesPerRow, n * bytesPerRow),
    advance(n: number): void {
      nStaged += n;
      if (nStaged === capacity) flush();
    },
    finish(): boolean {
      if (nStaged > 0) flush();
      return isAllFinite;
    },
    dispose: (): void => arena.free(staging),
  };
}

function checkRows(part: TensorInfo, dtype: DType, nIn: number): void {
  const expected = tensorRows(part).nRows * rowBytes(dtype, nIn);
  if (part.nBytes !== expected) {
    throw new ShapeError(
      `${part.name}: rows of ${nIn} ${dtype} weights take ${expected} bytes, the tensor has ${part.nBytes}`,
    );
  }
}
