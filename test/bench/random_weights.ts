import { rowBytes } from '../../src/core/dtype.ts';
import { createRng } from '../../src/core/rng.ts';
import type { Arena } from '../../src/exec/wasm/arena.ts';
import type { Kernels } from '../../src/exec/wasm/kernels.ts';
import { packedBytes, panelCount } from '../../src/exec/wasm/layout.ts';
import { packBytes } from '../../src/exec/wasm/repack.ts';
import { FORMATS, type PackableDType } from '../../src/quant/formats.ts';

const ROWS_OF_ITS_OWN = 64;

/** Numbers in -1 .. 1, all normal: mul and add on subnormal numbers take several times as long. */
export function randomFloats(n: number, seed: number): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length: n }, () => {
    const v = 2 * rng.next() - 1;
    return v < 0 ? Math.min(v, -(2 ** -4)) : Math.max(v, 2 ** -4);
  });
}

/** A packed matrix in the arena. Only some rows are random, the others repeat them: the kernels do not care. */
export interface BenchMatrix {
  readonly address: number;
  readonly nOut: number;
  readonly nIn: number;
  readonly nPanels: number;
  readonly nBytes: number;
}

export function randomMatrix(
  dtype: PackableDType,
  nOut: number,
  nIn: number,
  kernels: Kernels,
  arena: Arena,
): BenchMatrix {
  const bytes = randomRows(dtype, nOut, nIn);
  const nBytes = packedBytes(dtype, nOut, nIn);
  const address = arena.alloc(nBytes);
  packBytes(bytes, dtype, nOut, nIn, address, kernels, arena);
  return { address, nOut, nIn, nPanels: panelCount(dtype, nOut), nBytes };
}

/** The bytes of such a matrix as a file has them. */
export function randomRows(dtype: PackableDType, nOut: number, nIn: number): Uint8Array<ArrayBuffer> {
  const nBytesOfRows = rowBytes(dtype, nIn) * ROWS_OF_ITS_OWN;
  const rows = new Uint8Array(nBytesOfRows);
  FORMATS[dtype].pack(randomFloats(ROWS_OF_ITS_OWN * nIn, 1), 0, ROWS_OF_ITS_OWN * nIn, rows, 0);
  const bytes = new Uint8Array(rowBytes(dtype, nIn) * nOut);
  for (let at = 0; at < bytes.length; at += nBytesOfRows) {
    bytes.set(rows.subarray(0, Math.min(nBytesOfRows, bytes.length - at)), at);
  }
  return bytes;
}

export function putFloats(values: Float32Array, arena: Arena): number {
  const address = arena.alloc(values.byteLength);
  arena.f32(address, values.length).set(values);
  return address;
}
