/**
 * GPT-2's alphabet: each of the 256 bytes as one printable character, so that a vocabulary file can hold any byte string
 * as text. Printable bytes of Latin-1 stand for themselves; the other 68 take the characters from U+0100 on, in byte order
 * (space is U+0120, "Ġ"; newline is U+010A, "Ċ").
 *
 * Source: Radford et al. 2019, gpt-2/src/encoder.py, bytes_to_unicode.
 */
export const BYTE_TO_CHAR: readonly string[] = makeTable();

const CHAR_TO_BYTE: ReadonlyMap<string, number> = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

function makeTable(): string[] {
  const isPrintable = (b: number) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  let nOthers = 0;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(isPrintable(b) ? b : 0x100 + nOthers++));
}

/**
 * The bytes that a byte-level piece stands for.
 *
 * A piece with any character outside the alphabet is no byte-level piece and stands for its own UTF-8, whole: the rule of the
 * ByteLevel decoder of Hugging Face tokenizers.
 */
export function byteLevelBytes(piece: string): Uint8Array {
  const bytes = new Uint8Array(piece.length);
  for (let i = 0; i < piece.length; i++) {
    const byte = CHAR_TO_BYTE.get(piece[i]!);
    if (byte === undefined) return new TextEncoder().encode(piece);
    bytes[i] = byte;
  }
  return bytes;
}
