import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32 } from '../../src/core/crc32.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

/** The check value of the CRC catalogue ("CRC-32/ISO-HDLC"), and the CRC of an empty IEND chunk, which ends every PNG file. */
test.each([
  ['123456789', 0xcbf43926],
  ['IEND', 0xae426082],
  ['', 0],
])('of %j', (text, crc) => expect(crc32(utf8(text))).toBe(crc));

test('in pieces it is the same, and one changed bit is another', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.nat(), fc.nat(), (bytes, cut, bit) => {
      const at = cut % bytes.length;
      expect(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at)))).toBe(crc32(bytes));
      const changed = bytes.slice();
      changed[at]! ^= 1 << (bit % 8);
      expect(crc32(changed)).not.toBe(crc32(bytes));
    }),
    { seed: 9 },
  );
});
