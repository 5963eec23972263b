import { exponentOf } from '../../src/core/bits.ts';
import type { DType } from '../../src/core/dtype.ts';
import { f32ToF16 } from '../../src/core/half.ts';

/**
 * Where a block keeps the numbers that all its values are multiples of, for those who make up blocks: every other byte of a block
 * may be anything, and these may not when its values are to be of a certain size.
 */
export interface ScaleFields {
  /** Byte offset of d, an f16. */
  readonly d: number;
  /** Byte offset of the f16 that scales the minima. */
  readonly min?: number;
}

/** The formats with an f16 scale in one piece; iq1_m has it in four, q8_k an f32, mxfp4 and nvfp4 have bytes. */
export const SCALE_FIELDS = {
  q1_0: { d: 0 },
  q2_0: { d: 0 },
  q4_0: { d: 0 },
  q4_1: { d: 0, min: 2 },
  q5_0: { d: 0 },
  q5_1: { d: 0, min: 2 },
  q8_0: { d: 0 },
  q8_1: { d: 0 },
  q2_k: { d: 80, min: 82 },
  q3_k: { d: 108 },
  q4_k: { d: 0, min: 2 },
  q5_k: { d: 0, min: 2 },
  q6_k: { d: 208 },
  iq1_s: { d: 0 },
  iq2_xxs: { d: 0 },
  iq2_xs: { d: 0 },
  iq2_s: { d: 0 },
  iq3_xxs: { d: 0 },
  iq3_s: { d: 0 },
  iq4_nl: { d: 0 },
  iq4_xs: { d: 0 },
  tq1_0: { d: 52 },
  tq2_0: { d: 64 },
} as const satisfies Partial<Record<DType, ScaleFields>>;

/** iq1_m: the upper four bits of each of these u16, lowest first. */
const IQ1_M_QUARTERS = [48, 50, 52, 54] as const;

/**
 * Makes d the scale of the block at `at`, and dmin that of its minima where it has such. Rounded as the format can hold it: f16
 * (q8_k: f32); mxfp4 and nvfp4 take the power of two below d, nvfp4 within 2^-6 .. 2^8.
 */
export function writeScales(dtype: DType, block: DataView, at: number, d: number, dmin: number): void {
  if (Object.hasOwn(SCALE_FIELDS, dtype)) {
    const fields: ScaleFields = SCALE_FIELDS[dtype as keyof typeof SCALE_FIELDS];
    block.setUint16(at + fields.d, f32ToF16(d), true);
    if (fields.min !== undefined) block.setUint16(at + fields.min, f32ToF16(dmin), true);
    return;
  }
  const exponent = exponentOf(d);
  switch (dtype) {
    case 'q8_k':
      block.setFloat32(at, d, true);
      break;
    case 'mxfp4':
      block.setUint8(at, Math.min(Math.max(exponent + 127, 0), 255));
      break;
    case 'nvfp4':
      for (let j = 0; j < 4; j++) block.setUint8(at + j, Math.min(Math.max(exponent + 7, 1), 15) << 3);
      break;
    case 'iq1_m':
      IQ1_M_QUARTERS.forEach((quarter, i) => {
        const rest = block.getUint16(at + quarter, true) & 0x0fff;
        block.setUint16(at + quarter, (((f32ToF16(d) >>> (4 * i)) & 0x0f) << 12) | rest, true);
      });
      break;
    default:
      throw new RangeError(`${dtype} has no scales`);
  }
}
