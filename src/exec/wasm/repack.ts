import { type DType, rowBytes } from '../../core/dtype.ts';
import { ShapeError } from '../../core/errors.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import { type ReadOptions, tensorRows } from '../../load/weights.ts';
import type { Arena } from './arena.ts';
import type { Kernels } from './kernels.ts';
import { panelBytes, panelRows } from './layout.ts';
import { type Chunk, type Piece, readAhead, withStaging } from './read_ahead.ts';

/** Large enough for one read of a file, small enough that it stays near the processor. */
const CHUNK_BYTES = 2 ** 20;

/** A matrix [nOut, nIn] in the arena, in its packed layout (layout.ts), which takes `packedBytes` from `address` on. */
export interface PackTarget {
  readonly dtype: DType;
  readonly nOut: number;
  readonly nIn: number;
  readonly address: number;
}

/** Bytes of the largest chunk of a matrix as its file has it: what a staging buffer must hold. */
export function chunkBytes(matrix: Omit<PackTarget, 'address'>): number {
  return rowsPerChunk(matrix) * rowBytes(matrix.dtype, matrix.nIn);
}

/**
 * The reads that fill a matrix: some rows of file bytes at a time, read to where their panels will lie (which are no smaller, see
 * layout.ts), and spread over them by a kernel, so that a weight is never in memory twice. The parts of a merged matrix come one below the other, also within a panel.
 *
 * onNotFinite: called when a weight (in block formats: a scale) is NaN or infinite.
 * Throws ShapeError when a part's rows are not nIn weights of this format.
 */
export function matrixChunks(
  parts: readonly TensorInfo[],
  target: PackTarget,
  kernels: Kernels,
  onNotFinite: () => void = () => {},
): Chunk[] {
  for (const part of parts) checkRows(part, target);
  const bytesPerRow = rowBytes(target.dtype, target.nIn);
  return rowGroups(target, kernels, onNotFinite).map(({ firstRow, nRows, panel, pack }) => ({
    pieces: piecesOf(parts, firstRow * bytesPerRow, nRows * bytesPerRow),
    at: panel,
    use: pack,
  }));
}

/**
 * Reads a matrix [sum of the parts' rows, nIn] and packs it at `address`, through a staging buffer of its own.
 * Gives false when a weight (in block formats: a scale) is NaN or infinite. Throws as `matrixChunks` and `readAhead` do.
 */
export async function packMatrix(
  parts: readonly TensorInfo[],
  dtype: DType,
  nIn: number,
  address: number,
  kernels: Kernels,
  arena: Arena,
  readOptions?: () => ReadOptions,
): Promise<boolean> {
  const nOut = parts.reduce((n, part) => n + tensorRows(part).nRows, 0);
  const target = { dtype, nOut, nIn, address };
  let isAllFinite = true;
  const chunks = matrixChunks(parts, target, kernels, () => {
    isAllFinite = false;
  });
  await withStaging(arena, chunkBytes(target), (staging) => readAhead(chunks, staging, arena, readOptions));
  return isAllFinite;
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
  const bytesPerRow = rowBytes(dtype, nIn);
  if (bytes.byteLength !== nOut * bytesPerRow) {
    const expected = nOut * bytesPerRow;
    throw new ShapeError(`${dtype} matrix [${nOut}, ${nIn}] takes ${expected} bytes, got ${bytes.byteLength}`);
  }
  const target = { dtype, nOut, nIn, address };
  let isAllFinite = true;
  const groups = rowGroups(target, kernels, () => {
    isAllFinite = false;
  });
  const staging = arena.alloc(chunkBytes(target));
  try {
    for (const { firstRow, nRows, pack } of groups) {
      const rows = bytes.subarray(firstRow * bytesPerRow, (firstRow + nRows) * bytesPerRow);
      arena.bytes(staging, rows.length).set(rows);
      pack(staging);
    }
  } finally {
    arena.free(staging);
  }
  return isAllFinite;
}

/** Rows that one call of a kernel packs: whole panels, or the matrix's last rows. */
interface RowGroup {
  readonly firstRow: number;
  readonly nRows: number;
  /** Address of the first of their panels. */
  readonly panel: number;
  /** staged: the address of their bytes, as the file has them. */
  readonly pack: (staged: number) => void;
}

function rowGroups(target: PackTarget, kernels: Kernels, onNotFinite: () => void): RowGroup[] {
  const { dtype, nOut, nIn, address } = target;
  const { repack } = kernels.format(dtype);
  const step = rowsPerChunk(target);
  return Array.from({ length: Math.ceil(nOut / step) }, (_, i) => {
    const firstRow = i * step;
    const nRows = Math.min(step, nOut - firstRow);
    const panel = address + (firstRow / panelRows(dtype)) * panelBytes(dtype, nIn);
    return {
      firstRow,
      nRows,
      panel,
      pack(staged) {
        if (repack(panel, staged, nRows, nIn) === 0) onNotFinite();
      },
    };
  });
}

/** Whole panels, as many as CHUNK_BYTES hold: at least one, at most the matrix. */
function rowsPerChunk({ dtype, nOut, nIn }: Omit<PackTarget, 'address'>): number {
  const nFitting = Math.max(1, Math.floor(CHUNK_BYTES / Math.max(1, panelBytes(dtype, nIn))));
  return Math.min(nFitting, Math.max(1, Math.ceil(nOut / panelRows(dtype)))) * panelRows(dtype);
}

/** Bytes [from, from + nBytes) of tensors that follow one another. */
function piecesOf(parts: readonly TensorInfo[], from: number, nBytes: number): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  for (const info of parts) {
    const first = Math.max(from, start);
    const end = Math.min(from + nBytes, start + info.nBytes);
    if (end > first) pieces.push({ info, from: first - start, nBytes: end - first });
    start += info.nBytes;
  }
  return pieces;
}

function checkRows(part: TensorInfo, { dtype, nIn }: PackTarget): void {
  const expected = tensorRows(part).nRows * rowBytes(dtype, nIn);
  if (part.nBytes !== expected) {
    throw new ShapeError(
      `${part.name}: rows of ${nIn} ${dtype} weights take ${expected} bytes, the tensor has ${part.nBytes}`,
    );
  }
}
