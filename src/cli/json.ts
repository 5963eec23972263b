import type { Output } from './io.ts';

/**
 * One line of JSON on stdout. Typed arrays become lists. What JSON has no number for is written as a string: "NaN",
 * "Infinity", "-Infinity", and integers beyond 2^53. Control and bidirectional characters are escaped, also those that JSON
 * itself lets through, so that the line can be shown on a terminal.
 */
export function writeJson(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value, plain).replace(/[\x7f\p{Cf}\p{Zl}\p{Zp}\x80-\x9f]/gu, unicodeEscape)}\n`);
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as Uint8Array);
  return value;
}

/** JSON escapes are UTF-16 units: two of them for a character beyond U+FFFF. */
function unicodeEscape(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
