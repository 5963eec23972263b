/** Builds a little-endian file in memory, front to back. */
export class ByteWriter {
  #buffer = new Uint8Array(1024);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  u8(n: number): void {
    const at = this.#claim(1);
    this.#view.setUint8(at, n);
  }

  u32(n: number): void {
    const at = this.#claim(4);
    this.#view.setUint32(at, n, true);
  }

  u64(n: bigint): void {
    const at = this.#claim(8);
    this.#view.setBigUint64(at, n, true);
  }

  /** The low nBytes of n, in two's complement. */
  integer(n: bigint, nBytes: number): void {
    for (let i = 0; i < nBytes; i++) this.u8(Number((n >> BigInt(8 * i)) & 0xffn));
  }

  f32(x: number): void {
    const at = this.#claim(4);
    this.#view.setFloat32(at, x, true);
  }

  f64(x: number): void {
    const at = this.#claim(8);
    this.#view.setFloat64(at, x, true);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#claim(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Zeros up to the next multiple of `alignment`. */
  padTo(alignment: number): void {
    this.#claim((alignment - (this.#length % alignment)) % alignment);
  }

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }

  /** Makes room for nBytes and gives their place. The buffer may move: views are taken after this, never before. */
  #claim(nBytes: number): number {
    const at = this.#length;
    this.#length += nBytes;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#buffer.length));
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
