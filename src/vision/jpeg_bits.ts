import { FormatError } from '../core/errors.ts';

/** A Huffman code as a table over the next 16 bits: symbol * 32 + length, 0 for bits that are no code. */
export type HuffmanTable = Uint16Array;

/** Longest code of JPEG. */
const MAX_CODE_BITS = 16;

/**
 * counts[i]: codes of i + 1 bits; symbols: in the order of their codes.
 * null when no code has these counts (more codes than the lengths allow).
 * Source: ITU-T T.81, annex C.
 */
export function buildHuffman(counts: Uint8Array, symbols: Uint8Array): HuffmanTable | null {
  const table = new Uint16Array(1 << MAX_CODE_BITS);
  let at = 0;
  let k = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    const span = 1 << (MAX_CODE_BITS - length);
    for (let i = 0; i < counts[length - 1]!; i++) {
      if (at + span > table.length) return null;
      table.fill((symbols[k++]! << 5) | length, at, at + span);
      at += span;
    }
  }
  return table;
}

/**
 * Entropy-coded bits between two markers, highest first. FF 00 stands for the byte FF; any other byte after FF is a marker and
 * ends the bits.
 */
export class JpegBits {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  /** Next byte to take. */
  #at: number;
  #held = 0;
  #nHeld = 0;

  constructor(bytes: Uint8Array, at: number, name: string) {
    this.#bytes = bytes;
    this.#at = at;
    this.#name = name;
  }

  /** Where the next marker is looked for. */
  get position(): number {
    return this.#at;
  }

  error(message: string): FormatError {
    return new FormatError(`${this.#name}: ${message}; it is damaged or cut short`, this.#at);
  }

  /** n: 0 to 16. */
  bits(n: number): number {
    this.#fill(n);
    if (n > this.#nHeld) throw this.error('the coded picture ends too early');
    this.#nHeld -= n;
    return (this.#held >>> this.#nHeld) & ((1 << n) - 1);
  }

  symbol(table: HuffmanTable): number {
    this.#fill(MAX_CODE_BITS);
    // Fewer bits than 16 may be left: a code may end before the missing ones, taken as 0 here.
    const short = MAX_CODE_BITS - this.#nHeld;
    const next = short > 0 ? (this.#held << short) & 0xffff : (this.#held >>> -short) & 0xffff;
    const entry = table[next]!;
    const length = entry & 31;
    if (length === 0) throw this.error('the coded picture has a code that stands for nothing');
    if (length > this.#nHeld) throw this.error('the coded picture ends too early');
    this.#nHeld -= length;
    return entry >> 5;
  }

  /** A number of n bits whose highest bit tells the sign: 1 for n-bit numbers, 0 for their negatives. T.81, F.2.2.1. */
  signed(n: number): number {
    if (n === 0) return 0;
    const value = this.bits(n);
    return value < 1 << (n - 1) ? value - (1 << n) + 1 : value;
  }

  /** Skips to behind the restart marker RSTn; what is left of the byte is filling. */
  restart(n: number): void {
    this.#held = 0;
    this.#nHeld = 0;
    while (this.#bytes[this.#at] === 0xff && this.#bytes[this.#at + 1] === 0xff) this.#at++;
    if (this.#bytes[this.#at] !== 0xff || this.#bytes[this.#at + 1] !== 0xd0 + n) {
      throw this.error(`restart marker ${n} is not where it should be`);
    }
    this.#at += 2;
  }

  /** Held are at most 23 bits, so that nothing is lost above bit 31. */
  #fill(n: number): void {
    while (this.#nHeld < n && this.#at < this.#bytes.length) {
      const byte = this.#bytes[this.#at]!;
      if (byte === 0xff) {
        if (this.#bytes[this.#at + 1] !== 0) return;
        this.#at++;
      }
      this.#at++;
      this.#held = (this.#held << 8) | byte;
      this.#nHeld += 8;
    }
  }
}
