import { CapacityError, FormatError, UnsupportedError } from '../../core/errors.ts';

/** The longest grammar that is read. */
export const MAX_GRAMMAR_CHARACTERS = 1 << 20;

const NAME = /[A-Za-z0-9_-]+/y;
const SPACES = /(?:[ \t]|#[^\r\n]*)*/y;
const SPACES_AND_LINES = /(?:[ \t\r\n]|#[^\r\n]*)*/y;
const COUNT = /\d+/y;

/** What follows a backslash, in literals and in classes. */
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  '"': '"',
  '[': '[',
  ']': ']',
};
/** Hexadecimal digits after \x, \u and \U. */
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** A position in the text of a grammar, moved by reading; each error tells line, column (in characters, both from 1) and byte. */
export class GrammarCursor {
  at = 0;
  readonly #text: string;

  /** Throws CapacityError for a text of more than MAX_GRAMMAR_CHARACTERS. */
  constructor(text: string) {
    if (text.length > MAX_GRAMMAR_CHARACTERS) {
      throw new CapacityError(
        `grammar: ${text.length} characters, at most ${MAX_GRAMMAR_CHARACTERS} are read; make it shorter`,
      );
    }
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length;
  }

  /** The next UTF-16 unit, '' at the end. */
  get next(): string {
    return this.#text[this.at] ?? '';
  }

  /** What comes next, for an error. */
  get found(): string {
    if (this.isAtEnd) return 'the end of the text';
    const c = String.fromCodePoint(this.#text.codePointAt(this.at)!);
    return c === '\n' || c === '\r' ? 'the end of the line' : JSON.stringify(c);
  }

  error(message: string, at = this.at): FormatError {
    return new FormatError(
      `grammar: ${this.#place(at)}: ${message}`,
      new TextEncoder().encode(this.#text.slice(0, at)).length,
    );
  }

  unsupported(message: string, at = this.at): UnsupportedError {
    return new UnsupportedError(`grammar: ${this.#place(at)}: ${message}`);
  }

  #place(at: number): string {
    const lines = this.#text.slice(0, at).split('\n');
    return `line ${lines.length}, column ${[...lines.at(-1)!].length + 1}`;
  }

  /** Moves over `exact` if it comes next. */
  take(exact: string): boolean {
    if (!this.#text.startsWith(exact, this.at)) return false;
    this.at += exact.length;
    return true;
  }

  /** Moves over spaces and comments, and over the ends of lines where they mean nothing. */
  skipSpace(overLines: boolean): void {
    this.#match(overLines ? SPACES_AND_LINES : SPACES);
  }

  /** A rule's name, '' when none comes next. */
  takeName(): string {
    return this.#match(NAME);
  }

  takeCount(): number | undefined {
    const digits = this.#match(COUNT);
    return digits === '' ? undefined : Number(digits);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  /** The next character, escapes resolved. `where`: what it is in, which began at `from`. */
  takeCharacter(where: string, from: number): number {
    if (this.isAtEnd) throw this.error(`this ${where} has no end; close it`, from);
    const start = this.at;
    let codePoint = this.#text.codePointAt(start)!;
    this.at += codePoint > 0xffff ? 2 : 1;
    if (codePoint === 0x5c) codePoint = this.#takeEscape(start);
    if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) {
      throw this.error(`U+${codePoint.toString(16).toUpperCase()} is no character; UTF-8 cannot say it`, start);
    }
    return codePoint;
  }

  #takeEscape(start: number): number {
    const letter = this.next;
    const plain = ESCAPES[letter];
    if (plain !== undefined && Object.hasOwn(ESCAPES, letter)) {
      this.at++;
      return plain.codePointAt(0)!;
    }
    const nDigits = Object.hasOwn(HEX_DIGITS, letter) ? HEX_DIGITS[letter]! : 0;
    const digits = this.#text.slice(this.at + 1, this.at + 1 + nDigits);
    if (nDigits === 0) {
      const known = '\\n \\r \\t \\\\ \\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH';
      throw this.error(`unknown escape \\${letter}; those there are: ${known}`, start);
    }
    if (digits.length < nDigits || /[^0-9A-Fa-f]/.test(digits)) {
      throw this.error(`\\${letter} needs ${nDigits} hexadecimal digits`, start);
    }
    this.at += 1 + nDigits;
    return Number.parseInt(digits, 16);
  }
}
