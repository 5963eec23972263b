/**
 * Every tensor type of ggml, by the number that GGUF files store.
 *
 * Being listed means that the reader knows how many bytes a tensor takes, so that `inspect` can show it; whether the engine
 * can compute with it is `DTYPES` in core/dtype.ts.
 * Source: `enum ggml_type` and the block structs of ggml; the numbers are part of the file format and never reused.
 */
export interface GgmlType {
  readonly name: string;
  /** Elements that share one block. A row (the innermost axis) holds whole blocks. */
  readonly blockSize: number;
  readonly blockBytes: number;
}

/** [number, name, elements in a block, bytes of a block] */
const ROWS: readonly (readonly [number, string, number, number])[] = [
  [0, 'f32', 1, 4],
  [1, 'f16', 1, 2],
  [2, 'q4_0', 32, 18],
  [3, 'q4_1', 32, 20],
  [6, 'q5_0', 32, 22],
  [7, 'q5_1', 32, 24],
  [8, 'q8_0', 32, 34],
  [9, 'q8_1', 32, 36],
  [10, 'q2_k', 256, 84],
  [11, 'q3_k', 256, 110],
  [12, 'q4_k', 256, 144],
  [13, 'q5_k', 256, 176],
  [14, 'q6_k', 256, 210],
  [15, 'q8_k', 256, 292],
  [16, 'iq2_xxs', 256, 66],
  [17, 'iq2_xs', 256, 74],
  [18, 'iq3_xxs', 256, 98],
  [19, 'iq1_s', 256, 50],
  [20, 'iq4_nl', 32, 18],
  [21, 'iq3_s', 256, 110],
  [22, 'iq2_s', 256, 82],
  [23, 'iq4_xs', 256, 136],
  [24, 'i8', 1, 1],
  [25, 'i16', 1, 2],
  [26, 'i32', 1, 4],
  [27, 'i64', 1, 8],
  [28, 'f64', 1, 8],
  [29, 'iq1_m', 256, 56],
  [30, 'bf16', 1, 2],
  [34, 'tq1_0', 256, 54],
  [35, 'tq2_0', 256, 66],
  [39, 'mxfp4', 32, 17],
  [40, 'nvfp4', 64, 36],
  [41, 'q1_0', 128, 18],
  [42, 'q2_0', 64, 18],
];

export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map(
  ROWS.map(([number, name, blockSize, blockBytes]) => [number, { name, blockSize, blockBytes }]),
);

/** Types that ggml once had and dropped: their numbers stay taken, and no reader can be expected to know their bytes. */
export const REMOVED_GGML_TYPES: ReadonlyMap<number, string> = new Map([
  [4, 'q4_2'],
  [5, 'q4_3'],
  [31, 'q4_0_4_4'],
  [32, 'q4_0_4_8'],
  [33, 'q4_0_8_8'],
  [36, 'iq4_nl_4_4'],
  [37, 'iq4_nl_4_8'],
  [38, 'iq4_nl_8_8'],
]);

/** The number of a type name, undefined where ggml has no such type. */
export function ggmlTypeNumber(name: string): number | undefined {
  return ROWS.find((row) => row[1] === name)?.[0];
}
