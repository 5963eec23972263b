import { FormatError } from '../core/errors.ts';

/** Length codes 257..285 and distance codes 0..29: smallest value, and bits that follow. RFC 1951, 3.2.5. */
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];
const DISTANCE_BITS = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
/** The order in which a block gives the lengths of its code for code lengths. RFC 1951, 3.2.7. */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const END_OF_BLOCK = 256;
const ADLER_MODULUS = 65521;

/** A prefix code as a table over the next `nBits` bits: symbol * 16 + length, 0 for bits that are no code. */
interface PrefixCode {
  readonly nBits: number;
  readonly table: Uint16Array;
}

/**
 * No stream of DEFLATE grows more than 1,032 times: 258 bytes from two bits.
 * So a header that promises more than this many bytes for the compressed ones is known to lie before anything is allocated.
 */
export function mostInflatedBytes(nCompressed: number): number {
  return nCompressed * 1032;
}

/**
 * Unpacks a zlib stream that must hold exactly nBytes. More of them are never written, whatever the stream says.
 *
 * Throws FormatError when the stream is damaged, cut short, longer than nBytes, or its check sum differs; the offset is the
 * byte in `data`.
 * Source: RFC 1950 (zlib), RFC 1951 (DEFLATE).
 */
export function inflateZlib(data: Uint8Array, nBytes: number, name: string): Uint8Array {
  const input = new BitInput(data, name);
  const header = (input.bits(8) << 8) | input.bits(8);
  if ((header & 0x0f00) !== 0x0800 || header % 31 !== 0) throw input.error('the compressed data is not a zlib stream');
  if ((header & 0x20) !== 0) throw input.error('the zlib stream wants a preset dictionary, pictures have none');
  const out = new Uint8Array(nBytes);
  const end = inflateBlocks(input, out);
  if (end !== nBytes) throw input.error(`the compressed data unpacks to ${end} bytes, the size says ${nBytes}`);
  input.toByte();
  let stated = 0;
  for (let i = 0; i < 4; i++) stated = ((stated << 8) | input.bits(8)) >>> 0;
  const got = adler32(out);
  if (got !== stated) throw input.error(`the check sum of the unpacked data is ${got}, the file says ${stated}`);
  return out;
}

/** Bits, lowest first. */
class BitInput {
  readonly #data: Uint8Array;
  readonly #name: string;
  #at = 0;
  #held = 0;
  #nHeld = 0;

  constructor(data: Uint8Array, name: string) {
    this.#data = data;
    this.#name = name;
  }

  error(message: string): FormatError {
    return new FormatError(`${this.#name}: ${message}; it is damaged`, this.#at);
  }

  /** n: 0 to 16. */
  bits(n: number): number {
    this.#fill(n);
    if (n > this.#nHeld) throw this.error('the compressed data is cut short');
    const value = this.#held & ((1 << n) - 1);
    this.#held >>>= n;
    this.#nHeld -= n;
    return value;
  }

  symbol(code: PrefixCode): number {
    this.#fill(code.nBits);
    const entry = code.table[this.#held & ((1 << code.nBits) - 1)]!;
    const length = entry & 15;
    if (length === 0) throw this.error('the compressed data has a code that stands for nothing');
    if (length > this.#nHeld) throw this.error('the compressed data is cut short');
    this.#held >>>= length;
    this.#nHeld -= length;
    return entry >> 4;
  }

  toByte(): void {
    this.bits(this.#nHeld & 7);
  }

  /** Past the end the missing bits are 0: a code may end before them. */
  #fill(n: number): void {
    while (this.#nHeld < n && this.#at < this.#data.length) {
      this.#held |= this.#data[this.#at++]! << this.#nHeld;
      this.#nHeld += 8;
    }
  }
}

/** Unpacks every block; returns how many bytes there are. */
function inflateBlocks(input: BitInput, out: Uint8Array): number {
  let at = 0;
  for (;;) {
    const isLast = input.bits(1) === 1;
    const type = input.bits(2);
    if (type === 0) at = copyStored(input, out, at);
    else if (type === 1) at = copyCoded(input, out, at, fixedLiterals(), fixedDistances());
    else if (type === 2) at = copyCoded(input, out, at, ...readCodes(input));
    else throw input.error('the compressed data has a block of type 3, which does not exist');
    if (isLast) return at;
  }
}

function copyStored(input: BitInput, out: Uint8Array, start: number): number {
  input.toByte();
  const n = input.bits(16);
  if (input.bits(16) !== (n ^ 0xffff)) throw input.error('a stored block has two lengths that contradict each other');
  if (start + n > out.length) throw tooLong(input, out);
  for (let i = 0; i < n; i++) out[start + i] = input.bits(8);
  return start + n;
}

function copyCoded(
  input: BitInput,
  out: Uint8Array,
  start: number,
  literals: PrefixCode,
  distances: PrefixCode,
): number {
  let at = start;
  for (;;) {
    const symbol = input.symbol(literals);
    if (symbol === END_OF_BLOCK) return at;
    if (symbol < END_OF_BLOCK) {
      if (at === out.length) throw tooLong(input, out);
      out[at++] = symbol;
      continue;
    }
    const lengthCode = symbol - END_OF_BLOCK - 1;
    if (lengthCode >= LENGTH_BASE.length) throw input.error(`length code ${symbol} does not exist`);
    const length = LENGTH_BASE[lengthCode]! + input.bits(LENGTH_BITS[lengthCode]!);
    const distanceCode = input.symbol(distances);
    if (distanceCode >= DISTANCE_BASE.length) throw input.error(`distance code ${distanceCode} does not exist`);
    const distance = DISTANCE_BASE[distanceCode]! + input.bits(DISTANCE_BITS[distanceCode]!);
    if (distance > at) throw input.error(`a copy starts ${distance} bytes back, ${at} are there`);
    if (at + length > out.length) throw tooLong(input, out);
    // Byte by byte: a copy may read what it has just written.
    for (let i = 0; i < length; i++, at++) out[at] = out[at - distance]!;
  }
}

function tooLong(input: BitInput, out: Uint8Array): FormatError {
  return input.error(`the compressed data unpacks to more than the ${out.length} bytes that the size says`);
}

/** The two codes that a block brings along: literals with lengths, and distances. */
function readCodes(input: BitInput): [PrefixCode, PrefixCode] {
  const nLiterals = input.bits(5) + 257;
  const nDistances = input.bits(5) + 1;
  const nCodeLengths = input.bits(4) + 4;
  const codeLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
  for (let i = 0; i < nCodeLengths; i++) codeLengths[CODE_LENGTH_ORDER[i]!] = input.bits(3);
  const code = buildCode(codeLengths, input);
  const lengths = new Uint8Array(nLiterals + nDistances);
  for (let i = 0; i < lengths.length; ) {
    const symbol = input.symbol(code);
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) throw input.error('a code length repeats the one before the first');
    const value = symbol === 16 ? lengths[i - 1]! : 0;
    const n = symbol === 16 ? 3 + input.bits(2) : symbol === 17 ? 3 + input.bits(3) : 11 + input.bits(7);
    if (i + n > lengths.length) throw input.error('there are more code lengths than codes');
    lengths.fill(value, i, i + n);
    i += n;
  }
  return [buildCode(lengths.subarray(0, nLiterals), input), buildCode(lengths.subarray(nLiterals), input)];
}

function fixedLiterals(): PrefixCode {
  const lengths = new Uint8Array(288).fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
  return buildCode(lengths, null);
}

function fixedDistances(): PrefixCode {
  return buildCode(new Uint8Array(32).fill(5), null);
}

/** The canonical code with these lengths (0: unused). Throws FormatError when no code has them. */
function buildCode(lengths: Uint8Array, input: BitInput | null): PrefixCode {
  let nBits = 1;
  const count = new Uint16Array(16);
  for (const length of lengths) {
    count[length]!++;
    if (length > nBits) nBits = length;
  }
  count[0] = 0;
  const next = new Uint16Array(17);
  for (let length = 1; length <= 15; length++) {
    const first = (next[length - 1]! + count[length - 1]!) << 1;
    if (first + count[length]! > 1 << length) throw input!.error('a code has more entries than its lengths allow');
    next[length] = first;
  }
  const table = new Uint16Array(1 << nBits);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    // Codes are written highest bit first, everything else lowest bit first.
    const start = reverseBits(next[length]!++, length);
    for (let i = start; i < table.length; i += 1 << length) table[i] = (symbol << 4) | length;
  });
  return { nBits, table };
}

function reverseBits(value: number, n: number): number {
  let reversed = 0;
  for (let i = 0; i < n; i++) reversed |= ((value >> i) & 1) << (n - 1 - i);
  return reversed;
}

/** RFC 1950, 8.2. */
function adler32(data: Uint8Array): number {
  let a = 1;
  let b = 0;
  // 3,800 steps stay below 2^32 between two remainders.
  for (let start = 0; start < data.length; start += 3800) {
    const end = Math.min(start + 3800, data.length);
    for (let i = start; i < end; i++) {
      a += data[i]!;
      b += a;
    }
    a %= ADLER_MODULUS;
    b %= ADLER_MODULUS;
  }
  return ((b << 16) | a) >>> 0;
}
