/** ignoreBOM keeps a leading U+FEFF in the text: a piece of a vocabulary may well be one. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of UTF-8 bytes, or null where they are not UTF-8. Faster than adding up the characters, for the short strings of a vocabulary too:
 * V8 keeps such a sum as a tree, which the first look into it has to flatten.
 */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** The text of ASCII bytes, or null where one of them is above 0x7f. */
export function decodeAscii(bytes: Uint8Array): string | null {
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte > 0x7f) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}
