import { CapacityError, FormatError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';

/** Bytes asked of the source at a time: a header is a few of these, and opening a file of many gigabytes reads no more. */
const WINDOW_BYTES = 1 << 18;

/**
 * The largest header that is read. A vocabulary of a million pieces takes about 30 MB; a header of more than 128 MB is not a
 * model's, and reading it would cost memory long before anyone could see what it is.
 */
const MAX_HEADER_BYTES = 1 << 27;

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Reads a header front to back, little-endian, through a window. Nothing is read or allocated before it is known to lie
 * inside the source. Every failure names the field being read, and its byte.
 *
 * `fill(n)` makes n bytes available; the getters after it are synchronous and rely on it.
 */
export class ByteCursor {
  readonly #source: ByteSource;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  /** Where the window starts in the source. */
  #start = 0;
  /** Next byte, within the window. */
  #at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get name(): string {
    return this.#source.name;
  }

  /** Next byte, within the source. */
  get position(): number {
    return this.#start + this.#at;
  }

  get remaining(): number {
    return this.#source.size - this.position;
  }

  /** A FormatError whose offset is `at`, by default the next byte. */
  error(message: string, at = this.position): FormatError {
    return new FormatError(`${this.name}: ${message}`, at);
  }

  /** Throws FormatError when fewer than nBytes are left, CapacityError when the header would become absurdly long. */
  claim(nBytes: number, field: string): void {
    if (nBytes > this.remaining) {
      throw this.error(
        `${field} needs ${nBytes} bytes, the file has ${this.remaining} left; it is cut short or damaged`,
      );
    }
    if (this.position + nBytes > MAX_HEADER_BYTES) {
      throw new CapacityError(
        `${this.name}: ${field} needs ${nBytes} bytes at byte ${this.position}, headers are read up to ${MAX_HEADER_BYTES} bytes`,
      );
    }
  }

  /** True when the next nBytes are in the window, so that a hot loop need not await `fill`. */
  has(nBytes: number): boolean {
    return this.#at + nBytes <= this.#window.length;
  }

  /** Makes the next nBytes available. Throws FormatError when the file has fewer. */
  async fill(nBytes: number, field: string): Promise<void> {
    if (this.has(nBytes)) return;
    this.claim(nBytes, field);
    const start = this.position;
    // What is left of the old window is read again: it is less than nBytes, and seldom more than a few.
    const window = new Uint8Array(Math.min(Math.max(nBytes, WINDOW_BYTES), this.remaining));
    await this.#source.read(start, window);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#start = start;
    this.#at = 0;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** The view and the place of the next nBytes: for formats that only one caller reads. */
  take<T>(nBytes: number, get: (view: DataView, at: number) => T): T {
    return get(this.#view, this.#advance(nBytes));
  }

  /** The next nBytes as a view of the window: valid until the next fill. */
  bytes(nBytes: number): Uint8Array {
    const at = this.#advance(nBytes);
    return this.#window.subarray(at, at + nBytes);
  }

  /**
   * A u64 that counts things of at least `bytesEach` bytes, all of them still to come.
   * Throws FormatError when the rest of the file cannot hold that many: the one guard of every loop and allocation.
   */
  count(field: string, bytesEach: number): number {
    const at = this.position;
    const n = this.u64();
    const most = Math.floor(this.remaining / bytesEach);
    if (n <= BigInt(most)) return Number(n);
    throw this.error(`${field} is ${n}, the rest of the file holds at most ${most}; it is cut short or damaged`, at);
  }

  /** A u64 that must be exact as a number. */
  safeU64(field: string): number {
    const at = this.position;
    const n = this.u64();
    if (n <= MAX_SAFE) return Number(n);
    throw this.error(`${field} is ${n}, expected at most ${MAX_SAFE}`, at);
  }

  /** Fills `into` with the next bytes, past the window straight from the source. */
  async copy(into: Uint8Array, field: string): Promise<void> {
    this.claim(into.length, field);
    const buffered = Math.min(into.length, this.#window.length - this.#at);
    into.set(this.bytes(buffered));
    if (buffered === into.length) return;
    await this.#source.read(this.position, into.subarray(buffered));
    // The window is used up: the next fill starts behind what was copied.
    this.#start = this.position + into.length - buffered;
    this.#window = new Uint8Array(0);
    this.#at = 0;
  }

  #advance(nBytes: number): number {
    const at = this.#at;
    this.#at += nBytes;
    return at;
  }
}
