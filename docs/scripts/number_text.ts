/** Numbers as documents show them: short, and the same text on every host. */

/** Four digits after the point, with the sign's place kept: " 0.1234", "-1.2000". */
export function fixed(x: number): string {
  return (x < 0 || Object.is(x, -0) ? '' : ' ') + x.toFixed(4);
}

/** "1.23e-7": three digits that count. 0 is "0". */
export function short(x: number): string {
  if (x === 0) return '0';
  const text = x.toPrecision(3);
  return text.includes('e') || Math.abs(x) < 1e-3 ? x.toExponential(2) : text;
}

/** Shortest text that gives the same f32 back: digits of f64 beyond it say nothing. */
export function f32Text(x: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = x.toPrecision(digits);
    if (Object.is(Math.fround(Number(text)), x)) return String(Number(text));
  }
  return String(Number(x.toPrecision(9)));
}

/** 3659808 -> "3,659,808". */
export function grouped(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** The first n values, then "..." where there are more. */
export function firstValues(x: ArrayLike<number>, from: number, n: number, width: number): string {
  const shown = Array.from({ length: Math.min(n, width) }, (_, i) => fixed(x[from + i]!));
  return `[${shown.join(' ')}${width > n ? '  ...' : ''}]`;
}

/** A piece of text as people can see it: spaces and line breaks show. */
export function visible(piece: string): string {
  return JSON.stringify(piece).replaceAll('|', '\\|');
}

/** A markdown table, in columns also for those who read the source; columns of numbers are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell).trim()));
  const columns = head.map((_, c) => {
    const isNumeric = cells.slice(1).every((row) => /^[-\d.,e]*$/.test(row[c]!));
    const width = Math.max(3, ...cells.map((row) => row[c]!.length));
    return { isNumeric, width };
  });
  const line = (row: readonly string[]): string => {
    const padded = columns.map(({ isNumeric, width }, c) =>
      isNumeric ? row[c]!.padStart(width) : row[c]!.padEnd(width),
    );
    return `| ${padded.join(' | ')} |`;
  };
  const rule = columns.map(({ isNumeric, width }) => (isNumeric ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(cells[0]!), line(rule), ...cells.slice(1).map(line)].join('\n');
}
