/** First and last code point, both included. */
export type CodePointRange = readonly [first: number, last: number];

/** First and last byte, both included. */
export type ByteRange = readonly [first: number, last: number];

export const MAX_CODE_POINT = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

/** The last code points that take 1, 2, 3 and 4 bytes. */
const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, MAX_CODE_POINT] as const;
/** The bits that a byte which continues a character carries. */
const CONTINUATION_BITS = 6;

/** Ranges from pairs of characters: rangesOf('az', '__'). */
export function rangesOf(...pairs: readonly string[]): CodePointRange[] {
  return normalized(
    pairs.map((pair) => {
      const [first, last] = Array.from(pair, (c) => c.codePointAt(0)!);
      return [first!, last!];
    }),
  );
}

/** The same set, by rising ranges that neither overlap nor touch. */
export function normalized(ranges: readonly CodePointRange[]): CodePointRange[] {
  const out: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = out.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else if (first <= last) out.push([first, last]);
  }
  return out;
}

/** All code points but these. */
export function inverted(ranges: readonly CodePointRange[]): CodePointRange[] {
  const out: CodePointRange[] = [];
  let next = 0;
  for (const [first, last] of normalized(ranges)) {
    if (first > next) out.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= MAX_CODE_POINT) out.push([next, MAX_CODE_POINT]);
  return out;
}

/** The code points that are in both sets. */
export function intersected(a: readonly CodePointRange[], b: readonly CodePointRange[]): CodePointRange[] {
  return inverted([...inverted(a), ...inverted(b)]);
}

/** Surrogates have no UTF-8. */
export function withoutSurrogates(ranges: readonly CodePointRange[]): CodePointRange[] {
  return intersected(ranges, [
    [0, FIRST_SURROGATE - 1],
    [LAST_SURROGATE + 1, MAX_CODE_POINT],
  ]);
}

/**
 * The UTF-8 of a range of code points, as sequences of byte ranges: every choice of one byte from each range of a sequence is
 * one of its characters, and each character has one such choice. Surrogates are left out.
 *
 * A range is cut where the length changes, then wherever not all continuation bytes are free.
 * Source: The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
 */
export function utf8Sequences(range: CodePointRange): ByteRange[][] {
  const out: ByteRange[][] = [];
  for (const [first, last] of withoutSurrogates([range])) {
    let from = first;
    for (const [i, lastOfLength] of LAST_OF_LENGTH.entries()) {
      if (from > last || from > lastOfLength) continue;
      const to = Math.min(last, lastOfLength);
      addSequences(from, to, i, out);
      from = to + 1;
    }
  }
  return out;
}

/** The sequences of [first, last], all of the length nContinuations + 1. */
function addSequences(first: number, last: number, nContinuations: number, out: ByteRange[][]): void {
  for (let i = nContinuations; i >= 1; i--) {
    // The characters that share all but the last i bytes.
    const size = 1 << (CONTINUATION_BITS * i);
    if (Math.floor(first / size) === Math.floor(last / size)) continue;
    if (first % size !== 0) {
      const end = first - (first % size) + size - 1;
      addSequences(first, end, nContinuations, out);
      addSequences(end + 1, last, nContinuations, out);
      return;
    }
    if (last % size !== size - 1) {
      const end = last - (last % size);
      addSequences(first, end - 1, nContinuations, out);
      addSequences(end, last, nContinuations, out);
      return;
    }
  }
  const a = utf8Bytes(first, nContinuations);
  const b = utf8Bytes(last, nContinuations);
  out.push(a.map((byte, i) => [byte, b[i]!]));
}

/** What the first byte of 1, 2, 3 and 4 begins with. */
const LEAD = [0x00, 0xc0, 0xe0, 0xf0] as const;

function utf8Bytes(codePoint: number, nContinuations: number): number[] {
  const bytes: number[] = [];
  let rest = codePoint;
  for (let i = 0; i < nContinuations; i++) {
    bytes.unshift(0x80 | (rest & 0x3f));
    rest >>= CONTINUATION_BITS;
  }
  return [LEAD[nContinuations]! | rest, ...bytes];
}
