/** One field of a file: how many bytes, how to read them, and what they are. */
export type Field = readonly [kind: 'text' | 'u8' | 'u32' | 'u64' | 'f32' | 'raw', nBytes: number, what: string];

const BYTES_PER_LINE = 8;
/** Longer fields are cut here: what follows looks the same. */
const MAX_LINES = 5;

/**
 * A file field by field: offset, bytes in hex, and the value that stands there, read from the bytes themselves.
 * Throws Error unless the fields are the whole file.
 */
export function annotate(file: Uint8Array, fields: readonly Field[]): string[] {
  const lines: string[] = [];
  let at = 0;
  for (const [kind, nBytes, what] of fields) {
    const bytes = file.subarray(at, at + nBytes);
    const note = kind === 'raw' ? what : `${kind === 'text' ? '' : `${kind} `}${what}: ${read(kind, bytes)}`;
    const nLines = Math.max(1, Math.ceil(nBytes / BYTES_PER_LINE));
    for (let i = 0; i < Math.min(nLines, MAX_LINES); i++) {
      const part = bytes.subarray(i * BYTES_PER_LINE, (i + 1) * BYTES_PER_LINE);
      lines.push(line(at + i * BYTES_PER_LINE, part, i === 0 ? note : ''));
    }
    if (nLines > MAX_LINES) lines.push(`      ... ${nBytes - MAX_LINES * BYTES_PER_LINE} more bytes`);
    at += nBytes;
  }
  if (at !== file.length) throw new Error(`the fields have ${at} bytes, the file ${file.length}`);
  return lines;
}

function line(offset: number, bytes: Uint8Array, note: string): string {
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(' ');
  return `${String(offset).padStart(4)}  ${hex.padEnd(3 * BYTES_PER_LINE)} ${note}`.trimEnd();
}

function read(kind: Exclude<Field[0], 'raw'>, bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (kind) {
    case 'text':
      return JSON.stringify(new TextDecoder().decode(bytes));
    case 'u8':
      return Array.from(bytes).join(', ');
    case 'u32':
      return String(view.getUint32(0, true));
    case 'u64':
      return String(view.getBigUint64(0, true));
    case 'f32':
      return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true)).join(', ');
    default:
      return kind satisfies never;
  }
}
