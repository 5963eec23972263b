import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import { f32ToF16 } from '../../src/core/half.ts';
import { packedBytes, panelRows } from '../../src/exec/wasm/layout.ts';
import { allocCodedBlock, type CodedBlock } from '../../src/quant/coded_block.ts';
import { codedFormat } from '../../src/quant/codes.ts';
import { IQ4_VALUES } from '../../src/quant/iq4_values.ts';

/**
 * The drawing of panels of two halves of 8 rows in src/exec/wasm/layout.ts, carried out byte by byte from blocks that the format's own
 * file has taken apart.
 */
interface GroupedLayout {
  /** Bits of a code, and what it is stored with in addition. */
  readonly bits: 2 | 3 | 4 | 5 | 6;
  readonly offset: number;
  /** The values that codes stand for. */
  readonly values?: readonly number[];
  /** Scale and minimum share a byte. */
  readonly hasPairs?: boolean;
  /** The scale is the first byte of a block, and codes are nibbles: two of them stand for 0. */
  readonly isFp4?: boolean;
  /** There are no scales for parts of a block. */
  readonly isPlain?: boolean;
}

const LAYOUTS = {
  q2_k: { bits: 2, offset: 0, hasPairs: true },
  q3_k: { bits: 3, offset: 4 },
  q4_k: { bits: 4, offset: 0 },
  q5_k: { bits: 5, offset: 0 },
  q6_k: { bits: 6, offset: 32 },
  iq4_xs: { bits: 4, offset: 0, values: IQ4_VALUES },
  q4_1: { bits: 4, offset: 0, isPlain: true },
  q5_0: { bits: 5, offset: 16, isPlain: true },
  q5_1: { bits: 5, offset: 0, isPlain: true },
  iq4_nl: { bits: 4, offset: 0, isPlain: true, values: IQ4_VALUES },
  mxfp4: { bits: 4, offset: 0, isPlain: true, isFp4: true },
} as const satisfies Partial<Record<DType, GroupedLayout>>;

type GroupedDType = keyof typeof LAYOUTS;

const RECORD_ROWS = 8;
const CHUNK = 32;

export function isGrouped(dtype: DType): dtype is GroupedDType {
  return Object.hasOwn(LAYOUTS, dtype);
}

/** The packed matrix. */
export function groupedPanels(dtype: GroupedDType, bytes: Uint8Array, nRows: number, nIn: number): Uint8Array {
  const layout: GroupedLayout = LAYOUTS[dtype];
  const format = codedFormat(dtype);
  const { blockSize, blockBytes } = DTYPES[dtype];
  const nBlocks = nIn / blockSize;
  const packed = new Uint8Array(packedBytes(dtype, nRows, nIn));
  if (nBlocks === 0) return packed;
  const nRecords = (Math.ceil(nRows / panelRows(dtype)) * panelRows(dtype)) / RECORD_ROWS;
  const recordBytes = packed.length / (nRecords * nBlocks);
  const block = allocCodedBlock(format);
  for (let o = 0; o < nRows; o++) {
    for (let b = 0; b < nBlocks; b++) {
      const at = (Math.floor(o / RECORD_ROWS) * nBlocks + b) * recordBytes;
      const from = o * rowBytes(dtype, nIn) + b * blockBytes;
      const record = packed.subarray(at, at + recordBytes);
      format.read(bytes, from, block);
      const codes = layout.isFp4
        ? fp4Codes(bytes, from)
        : Array.from(block.codes, (code) => layout.values?.indexOf(code) ?? code + layout.offset);
      const codesAt = recordBytes - (blockSize * RECORD_ROWS * layout.bits) / 8;
      putCodes(record.subarray(codesAt), o % RECORD_ROWS, codes, layout.bits);
      if (layout.isFp4) record[o % RECORD_ROWS] = bytes[from]!;
      else putScales(record, o % RECORD_ROWS, block, layout, format.hasMins);
    }
  }
  return packed;
}

function fp4Codes(bytes: Uint8Array, block: number): number[] {
  return Array.from({ length: CHUNK }, (_, i) => (bytes[block + 1 + (i % 16)]! >> (i < 16 ? 0 : 4)) & 0x0f);
}

function putCodes(record: Uint8Array, row: number, codes: readonly number[], bits: GroupedLayout['bits']): void {
  let at = 0;
  for (let first = 0; first < codes.length; first += CHUNK, at += (CHUNK * RECORD_ROWS * bits) / 8) {
    for (let column = 0; column < 4; column++) {
      // One code of each quad of columns, and with them one byte of each vector.
      const quads = Array.from({ length: CHUNK / 4 }, (_, q) => codes[first + 4 * q + column]!);
      PACKED[bits](quads).forEach((byte, vector) => {
        record[at + 4 * RECORD_ROWS * vector + 4 * row + column] = byte;
      });
    }
  }
}

/** All of a record but its codes. */
function putScales(rest: Uint8Array, row: number, block: CodedBlock, layout: GroupedLayout, hasMins: boolean): void {
  let at = 0;
  const putBytes = (values: Int16Array): void => {
    for (const value of values) {
      rest[at + row] = value;
      at += RECORD_ROWS;
    }
  };
  if (layout.hasPairs) putBytes(block.scales.map((scale, j) => scale | (block.mins[j]! << 4)));
  else if (!layout.isPlain) putBytes(block.scales);
  if (hasMins && !layout.hasPairs && !layout.isPlain) putBytes(block.mins);
  const scales = new DataView(rest.buffer, rest.byteOffset + at);
  const put = (i: number, value: number): void => {
    if (layout.isPlain) scales.setUint16(2 * i, f32ToF16(value), true);
    else scales.setFloat32(4 * i, value, true);
  };
  put(row, block.d);
  if (hasMins) put(RECORD_ROWS + row, layout.isPlain ? -block.dmin : block.dmin);
}

/** Eight codes, one of each quad, as bytes of a chunk's vectors: the drawings of kernels/blocks/codes<bits>.ts. */
const PACKED: Readonly<Record<GroupedLayout['bits'], (q: readonly number[]) => number[]>> = {
  2: (q) => [0, 4].map((i) => q[i]! | (q[i + 1]! << 2) | (q[i + 2]! << 4) | (q[i + 3]! << 6)),
  3: (q) => [
    q[0]! | (q[1]! << 3) | ((q[2]! & 3) << 6),
    q[4]! | (q[5]! << 3) | ((q[6]! & 3) << 6),
    q[3]! | (q[7]! << 3) | ((q[2]! >> 2) << 6) | ((q[6]! >> 2) << 7),
  ],
  5: (q) => [
    q[0]! | ((q[5]! & 7) << 5),
    q[1]! | ((q[5]! >> 3) << 5) | (((q[7]! >> 3) & 1) << 7),
    q[2]! | ((q[6]! & 7) << 5),
    q[3]! | ((q[6]! >> 3) << 5) | ((q[7]! >> 4) << 7),
    q[4]! | ((q[7]! & 7) << 5),
  ],
  4: (q) => [q[0]! | (q[2]! << 4), q[1]! | (q[3]! << 4), q[4]! | (q[6]! << 4), q[5]! | (q[7]! << 4)],
  6: (q) =>
    [0, 4].flatMap((i) => {
      const fourth = q[i + 3]!;
      return [q[i]! | ((fourth >> 4) << 6), q[i + 1]! | (((fourth >> 2) & 3) << 6), q[i + 2]! | ((fourth & 3) << 6)];
    }),
};
