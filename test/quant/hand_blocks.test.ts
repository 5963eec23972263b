import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { FORMATS } from '../../src/quant/formats.ts';

/**
 * One block of each format, worked out by hand from the drawing in its file: the bytes that are not 0, and values that follow.
 * f16 numbers used: 0.5 = 0x3800, 1 = 0x3c00, 2 = 0x4000, 4 = 0x4400, -3 = 0xc200.
 */
const BLOCKS: readonly [DType, bytes: Record<number, number>, values: Record<number, number>][] = [
  ['f32', { 2: 0x20, 3: 0x41 }, { 0: 10 }],
  ['f16', { 1: 0xc2 }, { 0: -3 }],
  ['bf16', { 0: 0x20, 1: 0xc1 }, { 0: -10 }],
  ['q1_0', { 1: 0x40, 2: 0b101, 17: 0x80 }, { 0: 2, 1: -2, 2: 2, 126: -2, 127: 2 }],
  ['q2_0', { 1: 0x40, 2: 0b11_10_01_00, 17: 0b11_00_00_00 }, { 0: -2, 1: 0, 2: 2, 3: 4, 62: -2, 63: 4 }],
  ['q4_0', { 1: 0x40, 2: 0x5a, 17: 0xf0 }, { 0: 4, 16: -6, 15: -16, 31: 14 }],
  // 2 * 10 - 3, 2 * 5 - 3, -3, 2 * 15 - 3
  ['q4_1', { 1: 0x40, 3: 0xc2, 4: 0x5a, 19: 0xf0 }, { 0: 17, 16: 7, 15: -3, 31: 27 }],
  // code 1: 16 + 3; code 31: 16 + 15; all others 0: -16 / 2
  ['q5_0', { 1: 0x38, 2: 0x02, 5: 0x80, 7: 0x03, 21: 0xf0 }, { 0: -8, 1: 1.5, 17: -8, 15: -8, 31: 7.5 }],
  ['q5_1', { 1: 0x38, 3: 0x3c, 4: 0x02, 7: 0x80, 9: 0x03, 23: 0xf0 }, { 0: 1, 1: 10.5, 17: 1, 31: 16.5 }],
  ['q8_0', { 1: 0x40, 2: 0x80, 33: 0x7f }, { 0: -256, 1: 0, 31: 254 }],
  ['q8_1', { 1: 0x40, 2: 0xff, 3: 0x7b, 4: 0x80, 35: 0x7f }, { 0: -256, 1: 0, 31: 254 }],
  [
    'q2_k',
    // d = 1, dmin = 0.5; sub-block 0: s 1, m 2; 2: s 5; 15: s 15, m 3
    { 0: 0x21, 2: 0x05, 15: 0x3f, 16: 0b11_10_01_00, 79: 0b10_00_00_00, 81: 0x3c, 83: 0x38 },
    { 0: -1, 1: -1, 32: 5, 64: 0, 96: 0, 254: -1.5, 255: 28.5 },
  ],
  [
    'q3_k',
    // d = 2; s0 = 33: low 1, high 2; s15 = 31: low 15, high 1. Code 0 is 4 + 3, code 255 is 4 + 1.
    { 0: 0x01, 31: 0x80, 32: 0x03, 95: 0x40, 96: 0x01, 103: 0xf0, 104: 0x02, 107: 0x40, 109: 0x40 },
    { 0: 6, 1: -8, 254: 8, 255: -2 },
  ],
  [
    'q4_k',
    // d = 1, dmin = 2; s0 = 3, m0 = 1; s4 = 32 + 5, m4 = 16 + 9
    { 1: 0x3c, 3: 0x40, 4: 0x83, 8: 0x41, 12: 0x95, 16: 0x7a, 80: 0x02 },
    { 0: 3 * 10 - 2, 1: -2, 32: 0, 128: 37 * 2 - 50, 129: -50 },
  ],
  [
    'q5_k',
    { 1: 0x3c, 3: 0x40, 4: 0x83, 8: 0x41, 12: 0x95, 16: 0x11, 48: 0x7a, 112: 0x02 },
    { 0: 3 * 26 - 2, 1: -2, 32: 0, 128: 37 * 18 - 50, 129: -50 },
  ],
  [
    'q6_k',
    // d = 0.5; s0 = -2, s4 = 1, s15 = 3. Code 0 is 32 + 5, code 64 is 9, code 255 is 63.
    { 0: 0x95, 127: 0xf0, 128: 0x02, 191: 0xc0, 192: 0xfe, 196: 1, 207: 3, 209: 0x38 },
    { 0: -5, 1: 32, 64: -11.5, 255: 46.5, 254: -48 },
  ],
  ['q8_k', { 2: 0x80, 3: 0x3e, 4: 0x80, 259: 1, 260: 0x55 }, { 0: -32, 1: 0, 255: 0.25 }],
  [
    'iq1_s',
    // d = 2. Point 1 is (1, -1 ...), point 0 all -1, point 2047 all 1. Sub-block 0: s 1, shifted down.
    { 1: 0x40, 2: 1, 33: 255, 35: 0x90, 49: 0x0e },
    { 0: 5.25, 1: -6.75, 8: -6.75, 247: -1.75, 248: 2.25, 255: 2.25 },
  ],
  [
    'iq1_m',
    // d = 2 = 0x4000, of which only the highest quarter is not 0; group 0 shifted down; s0 = 1, s15 = 1.
    { 0: 1, 31: 255, 32: 0x08, 47: 0x70, 48: 0x01, 55: 0x42 },
    { 0: 5.25, 1: -6.75, 8: -5.25, 16: -1.75, 247: -5.25, 255: 6.75 },
  ],
  [
    'iq2_xxs',
    // d = 4. Point 1 is (43, 8 ...), point 255 (8, 25, 8, 8, 25, 43, 43, 43). Signs of group 0: bit 0, so bit 7 as well.
    { 1: 0x44, 2: 1, 6: 0x01, 9: 0x10, 61: 255 },
    { 0: -64.5, 1: 12, 7: -12, 8: 12, 248: 4, 249: 12.5, 252: 12.5, 255: 21.5 },
  ],
  [
    'iq2_xs',
    // Point 2 is (25, 25, 8 ...), point 511 all 43. Signs of group 0: bits 0 and 1.
    { 1: 0x44, 2: 0x02, 3: 0x06, 64: 0xff, 65: 0x01, 66: 0x03, 73: 0x10 },
    { 0: -87.5, 1: -87.5, 2: 28, 7: 28, 16: 4, 240: 12, 255: 64.5 },
  ],
  [
    'iq2_s',
    // Point 1023 is all 43.
    { 1: 0x44, 2: 1, 33: 255, 65: 0x81, 73: 0xc0 },
    { 0: 21.5, 1: 4, 248: -21.5, 249: 21.5, 255: -21.5 },
  ],
  [
    'iq3_xxs',
    // Points 3 (12, 12, 4, 4), 1 (20, 4, 4, 4) and 255 (4, 28, 52, 62). Signs of group 0: bit 4, so bit 7 as well.
    { 1: 0x44, 2: 3, 3: 1, 65: 255, 66: 0x10, 69: 0x20 },
    { 0: 60, 1: 60, 2: 20, 4: -100, 5: 20, 7: -20, 252: 4, 253: 28, 254: 52, 255: 62 },
  ],
  [
    'iq3_s',
    // d = 2. Points 1 (3, 1, 1, 1), 511 (1, 1, 15, 15).
    { 1: 0x40, 2: 1, 65: 255, 73: 0x80, 74: 0x11, 105: 0x80, 106: 0x01 },
    { 0: -18, 1: 6, 4: -6, 5: 6, 32: 2, 252: 2, 254: 30, 255: -30 },
  ],
  ['iq4_nl', { 1: 0x3c, 2: 0xf0, 17: 0x87 }, { 0: -127, 16: 113, 15: -10, 31: 1 }],
  [
    'iq4_xs',
    // s0 = 33: low 1, high 2; s7 = 0
    { 1: 0x3c, 2: 0x02, 4: 0x01, 8: 0xf0, 135: 0x08 },
    { 0: -127, 16: 113, 239: -32, 255: 4064 },
  ],
  [
    'tq1_0',
    // 2 0 1 0 0 in base 3 is 171, 171 / 243 = 181 / 256 rounded up; 1 0 0 0 0 is 81, 86 / 256
    { 0: 181, 47: 255, 51: 86, 53: 0x40 },
    { 0: 2, 32: -2, 64: 0, 96: -2, 128: -2, 175: 2, 239: 2, 243: 0, 247: -2, 255: -2 },
  ],
  ['tq2_0', { 0: 0b11_10_01_00, 63: 0x40, 65: 0x40 }, { 0: -2, 32: 0, 64: 2, 96: 4, 159: -2, 255: 0 }],
  ['mxfp4', { 0: 128, 1: 0x97 }, { 0: 12, 16: -1, 1: 0 }],
  ['mxfp4', { 0: 0, 16: 0x10 }, { 31: 2 ** -128 }],
  [
    'nvfp4',
    // Scales 1, 0x7f (0), 0xff (480), 2^-9
    { 0: 0x38, 1: 0x7f, 2: 0xff, 3: 0x01, 4: 0x97, 12: 0x07, 20: 0x02, 35: 0x20 },
    { 0: 6, 8: -0.5, 16: 0, 32: 480, 55: 0, 63: 2 ** -9 },
  ],
];

/** The values at the keys of `expected` that a block with these bytes unpacks to. */
function unpackHand(name: DType, set: Record<number, number>, expected: Record<number, number>) {
  const { blockSize, blockBytes, unpack } = FORMATS[name];
  const bytes = new Uint8Array(blockBytes);
  for (const [at, byte] of Object.entries(set)) bytes[Number(at)] = byte;
  const out = new Float32Array(blockSize).fill(NaN);
  unpack(bytes, 0, out, 0, blockSize);
  return Object.fromEntries(Object.keys(expected).map((i) => [i, out[Number(i)]! + 0])); // the sign of 0 is left out
}

describe('blocks by hand', () => {
  test.each(BLOCKS)('%s', (name, bytes, values) => {
    expect(unpackHand(name, bytes, values)).toEqual(values);
  });

  test('every format is here', () => {
    expect([...new Set(BLOCKS.map(([name]) => name))].toSorted()).toEqual(Object.keys(FORMATS).toSorted());
  });

  test('a byte that is one place off is noticed, for each byte that a value follows from', () => {
    for (const [name, bytes, values] of BLOCKS) {
      if (FORMATS[name].blockSize === 1) continue;
      const shifted = Object.fromEntries(
        Object.entries(bytes).map(([at, byte]) => [(Number(at) + 1) % FORMATS[name].blockBytes, byte]),
      );
      expect(unpackHand(name, shifted, values), name).not.toEqual(values);
    }
  });
});
