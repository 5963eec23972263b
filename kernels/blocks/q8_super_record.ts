// Activations as quantize_rows_q8_super writes them, for the kernels that read them.
//
// One block of 256 is a record: 256 codes as in q8_record.ts (i8 in the relaxed build; in the other one i16, each four in the
// order 0 2 1 3), then
//   f32 scale, 12 bytes of nothing
//   16 x 2 x i16   for each 16 columns: minus the sum of columns 0, 1 (mod 4), and of columns 2, 3: sums of unsigned codes start from
//                  them to take out the codes' offset, and in i16 lanes there are two such sums for each row
//   16 x i16       for each 16 columns: their sum, which minima of sub-blocks are multiplied by
//    8 x i16       the same for each 32 columns
// All fit: |sum| <= 32 * 127.
//
// Tokens lie in groups as there.

export const SUPER_BLOCK = 256;
export const SUPER_CODE_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 256 : 512;
/** Where a record has what, and how long it is. */
export const SUPER_SCALE_AT: usize = SUPER_CODE_BYTES;
export const PAIR_SUMS_AT: usize = SUPER_CODE_BYTES + 16;
export const SUMS_16_AT: usize = PAIR_SUMS_AT + 64;
export const SUMS_32_AT: usize = SUMS_16_AT + 32;
export const SUPER_ACTIVATION_BYTES: usize = SUMS_32_AT + 16;
