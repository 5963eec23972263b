/** Numbers and names as people read them. */

/**
 * A string from a file, safe to show on one line of a terminal: everything that controls (C0, C1, DEL), reorders or hides text
 * is written as an escape. A tensor called "\x1b]0;..." would otherwise drive the terminal.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeOf);
}

/**
 * Generated text for a terminal: new lines and tabs stay, other control characters are written as escapes. A model may have
 * learnt them from anywhere.
 */
export function printableText(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, escapeOf);
}

function escapeOf(character: string): string {
  switch (character) {
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    default: {
      const hex = character.codePointAt(0)!.toString(16);
      return hex.length <= 2 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
    }
  }
}

/** 1234567 -> "1,234,567". */
export function showCount(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}

const UNITS = ['kB', 'MB', 'GB', 'TB'] as const;

/** Decimal units, three digits: "512 B", "3.66 MB", "128 MB". */
export function showBytes(nBytes: number): string {
  if (nBytes < 1000) return `${nBytes} B`;
  let value = nBytes;
  let unit = -1;
  // 999.5 is where three digits would round to 1000.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${showDigits(value)} ${UNITS[unit]}`;
}

/** Tokens a second: "85.3 tokens/s"; "-" where nothing was measured. */
export function showRate(nTokens: number, ms: number): string {
  return nTokens > 0 && ms > 0 ? `${showDigits((1000 * nTokens) / ms)} tokens/s` : '-';
}

/** "0.40 ms", "83 ms", "1.20 s". */
export function showMs(ms: number): string {
  return ms < 1000 ? `${showDigits(ms)} ms` : `${showDigits(ms / 1000)} s`;
}

/** Three digits where there are decimals: 0.123, 1.23, 12.3, 123, 1234. */
function showDigits(value: number): string {
  const decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(decimals);
}

/** A word and its count: "1 tensor", "2 tensors". */
export function plural(n: number, word: string): string {
  return `${showCount(n)} ${word}${n === 1 ? '' : 's'}`;
}

/** Columns separated by two spaces; `right` names those that are aligned to the right. No column is cut. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
