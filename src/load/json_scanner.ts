import { FormatError } from '../core/errors.ts';
import { quote } from './quote.ts';
import { decodeUtf8 } from './utf8.ts';

/** Deeper than any file of a model; shallow enough that a scan may recurse. */
export const MAX_JSON_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const EXPONENT = 0x65; // "e", and "E" with the case bit set
const CASE_BIT = 0x20;

/** What follows a backslash. */
const ESCAPES: ReadonlyMap<number, string> = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }).map(
    ([letter, character]) => [letter.charCodeAt(0), character],
  ),
);

/**
 * Reads JSON from bytes as the caller asks for it: an object's members, an array's elements, a string, a count.
 *
 * Stricter than JSON.parse, where the two readers of a file could disagree: duplicate keys, lone surrogates, bytes that
 * are not UTF-8 and nesting beyond MAX_JSON_DEPTH are refused, and a count is digits only, at most 2^53 - 1. Each
 * FormatError has the byte at which it went wrong.
 * Source: RFC 8259.
 */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  /** Where the bytes start in their file. */
  readonly #base: number;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array, name: string, base = 0) {
    this.#bytes = bytes;
    this.#name = name;
    this.#base = base;
  }

  /** The byte of the file that comes next, spaces skipped. */
  get position(): number {
    this.#skipSpace();
    return this.#base + this.#at;
  }

  error(message: string, at = this.position): FormatError {
    return new FormatError(`${this.#name}: ${message}`, at);
  }

  /** Calls onMember with each key, its value being next to read. A key may appear once. */
  object(what: string, onMember: (key: string, keyAt: number) => void): void {
    const seen = new Set<string>();
    this.#list(what, OPEN_BRACE, CLOSE_BRACE, () => {
      const keyAt = this.position;
      const key = this.string(`a key of ${what}`);
      if (seen.has(key)) throw this.error(`${what} has the key ${quote(key)} twice`, keyAt);
      seen.add(key);
      this.#expect(COLON, `":" after the key ${quote(key)}`);
      onMember(key, keyAt);
    });
  }

  /** Calls onElement with each index, the element being next to read. */
  array(what: string, onElement: (index: number) => void): void {
    let index = 0;
    this.#list(what, OPEN_BRACKET, CLOSE_BRACKET, () => onElement(index++));
  }

  /** A string, escapes resolved. */
  string(what: string): string {
    this.#expect(QUOTE, `${what}, a string`);
    const start = this.#at - 1;
    let text = '';
    for (;;) {
      const run = this.#at;
      while (this.#peek() >= 0x20 && this.#peek() !== QUOTE && this.#peek() !== BACKSLASH) this.#at++;
      const piece = decodeUtf8(this.#bytes.subarray(run, this.#at));
      if (piece === null) throw this.error(`${what} is not UTF-8`, this.#base + run);
      text += piece;
      const next = this.#peek();
      if (next !== QUOTE && next !== BACKSLASH) throw this.#unexpected(`the end of ${what}`);
      this.#at++;
      if (next === QUOTE) break;
      text += this.#escape(what);
    }
    // Halves of a pair may come from two escapes, so that only the whole text can be judged.
    if (/\p{Surrogate}/u.test(text)) throw this.error(`${what} has half a surrogate pair`, this.#base + start);
    return text;
  }

  /** An integer from 0 to 2^53 - 1, written with digits only. */
  count(what: string): number {
    const at = this.position;
    const digits = this.#digits(`${what}, an integer of at least 0`);
    const next = this.#peek();
    if (next === DOT || (next | CASE_BIT) === EXPONENT) throw this.error(`${what} is not a plain integer`, at);
    if (digits.length > 1 && digits.startsWith('0')) throw this.error(`${what} has a leading zero`, at);
    const n = Number(digits);
    if (!Number.isSafeInteger(n)) throw this.error(`${what} is ${digits.slice(0, 24)}, expected less than 2^53`, at);
    return n;
  }

  /** Any value, checked and dropped. */
  skip(what: string): void {
    this.#skipSpace();
    const next = this.#peek();
    if (next === OPEN_BRACE) this.object(what, () => this.skip(what));
    else if (next === OPEN_BRACKET) this.array(what, () => this.skip(what));
    else if (next === QUOTE) this.string(what);
    else if (next === MINUS || (next >= DIGIT_0 && next <= DIGIT_9)) this.#number(what);
    else if (!['true', 'false', 'null'].some((word) => this.#word(word))) throw this.#unexpected(`${what}, a value`);
  }

  /** Throws unless only spaces are left. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#bytes.length) throw this.#unexpected('the end of the JSON');
  }

  #list(what: string, open: number, close: number, onItem: () => void): void {
    this.#expect(open, `${what}, ${open === OPEN_BRACE ? 'an object' : 'an array'}`);
    if (++this.#depth > MAX_JSON_DEPTH) throw this.error(`${what} is nested deeper than ${MAX_JSON_DEPTH}`);
    this.#skipSpace();
    if (this.#peek() === close) this.#at++;
    else {
      for (;;) {
        onItem();
        this.#skipSpace();
        const next = this.#peek();
        if (next !== COMMA && next !== close) throw this.#unexpected(`"," or the end of ${what}`);
        this.#at++;
        if (next === close) break;
      }
    }
    this.#depth--;
  }

  #escape(what: string): string {
    const at = this.#at++;
    const letter = this.#bytes[at] ?? -1;
    const character = ESCAPES.get(letter);
    if (character !== undefined) return character;
    const hex = String.fromCharCode(...this.#bytes.subarray(this.#at, this.#at + 4));
    if (letter !== 'u'.charCodeAt(0) || !/^[0-9a-fA-F]{4}$/.test(hex)) {
      throw this.error(`${what} has a backslash that escapes nothing`, this.#base + at - 1);
    }
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #number(what: string): void {
    if (this.#peek() === MINUS) this.#at++;
    const at = this.#base + this.#at;
    const whole = this.#digits(`a digit of ${what}`);
    if (whole.length > 1 && whole.startsWith('0')) throw this.error(`${what} has a leading zero`, at);
    if (this.#peek() === DOT) {
      this.#at++;
      this.#digits(`a digit of ${what}`);
    }
    if ((this.#peek() | CASE_BIT) === EXPONENT) {
      this.#at++;
      if (this.#peek() === MINUS || this.#peek() === PLUS) this.#at++;
      this.#digits(`a digit of ${what}`);
    }
  }

  /** One digit or more, as text; their number is bounded by the file. */
  #digits(expected: string): string {
    const start = this.#at;
    while (this.#peek() >= DIGIT_0 && this.#peek() <= DIGIT_9) this.#at++;
    if (this.#at === start) throw this.#unexpected(expected);
    let digits = '';
    for (let i = start; i < this.#at; i++) digits += String.fromCharCode(this.#bytes[i]!);
    return digits;
  }

  #word(word: string): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at + i] !== word.charCodeAt(i)) return false;
    }
    this.#at += word.length;
    return true;
  }

  #expect(byte: number, expected: string): void {
    this.#skipSpace();
    if (this.#peek() !== byte) throw this.#unexpected(expected);
    this.#at++;
  }

  #unexpected(expected: string): FormatError {
    const byte = this.#peek();
    const found =
      byte === -1
        ? 'the text ends here; it is cut short'
        : byte > 0x20 && byte < 0x7f
          ? `found "${String.fromCharCode(byte)}"`
          : `found byte ${byte}`;
    return this.error(`expected ${expected}, ${found}`, this.#base + this.#at);
  }

  /** The next byte, -1 at the end. */
  #peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#peek();
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }
}
