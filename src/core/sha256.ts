/**
 * SHA-256, by FIPS 180-4. Our own, since the one that hosts share (WebCrypto) answers later and only about whole buffers, while
 * page keys are asked for in the middle of a step and files are checked as they stream by.
 */
export interface Sha256 {
  /** Adds bytes to the message. */
  update(bytes: Uint8Array): Sha256;
  /** The 32 bytes of the digest. The message ends with it: neither method may be called again. */
  digest(): Uint8Array<ArrayBuffer>;
}

export const SHA256_BYTES = 32;

const BLOCK_BYTES = 64;
/** The message's length in bits ends the last block. */
const LENGTH_BYTES = 8;
const ROUNDS = 64;

/** The first 32 bits of the fractions of the square roots of the first 8 primes. FIPS 180-4, 5.3.3. */
// biome-ignore format: a table, as the standard prints it
const START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/** The first 32 bits of the fractions of the cube roots of the first 64 primes. FIPS 180-4, 4.2.2. */
// biome-ignore format: a table, as the standard prints it
const K = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);

export function createSha256(): Sha256 {
  const state = Int32Array.from(START);
  const schedule = new Int32Array(ROUNDS);
  const block = new Uint8Array(BLOCK_BYTES);
  let filled = 0;
  let nBytes = 0;

  const sha: Sha256 = {
    update(bytes) {
      nBytes += bytes.length;
      let at = 0;
      if (filled > 0) {
        at = Math.min(BLOCK_BYTES - filled, bytes.length);
        block.set(bytes.subarray(0, at), filled);
        filled += at;
        if (filled < BLOCK_BYTES) return sha;
        compress(state, schedule, block, 0);
        filled = 0;
      }
      for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) compress(state, schedule, bytes, at);
      block.set(bytes.subarray(at));
      filled = bytes.length - at;
      return sha;
    },
    digest() {
      const bits = BigInt(nBytes) * 8n;
      // One bit, zeros, and the length, so that the whole is full blocks.
      const used = filled + 1 + LENGTH_BYTES;
      const tail = new Uint8Array(Math.ceil(used / BLOCK_BYTES) * BLOCK_BYTES - filled);
      tail[0] = 0x80;
      const view = new DataView(tail.buffer);
      view.setBigUint64(tail.length - LENGTH_BYTES, bits);
      sha.update(tail);
      const out = new Uint8Array(SHA256_BYTES);
      const words = new DataView(out.buffer);
      state.forEach((word, i) => void words.setInt32(4 * i, word));
      return out;
    },
  };
  return sha;
}

/** The digest of one message. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return createSha256().update(bytes).digest();
}

/** 64 lower-case hexadecimal digits. */
export function hexOf(digest: Uint8Array): string {
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** FIPS 180-4, 6.2.2: one block of 64 bytes from `at` on. */
function compress(state: Int32Array, w: Int32Array, bytes: Uint8Array, at: number): void {
  for (let t = 0; t < 16; t++) {
    const i = at + 4 * t;
    w[t] = (bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!;
  }
  for (let t = 16; t < ROUNDS; t++) {
    const x = w[t - 15]!;
    const y = w[t - 2]!;
    const small0 = rotr(x, 7) ^ rotr(x, 18) ^ (x >>> 3);
    const small1 = rotr(y, 17) ^ rotr(y, 19) ^ (y >>> 10);
    w[t] = (small1 + w[t - 7]! + small0 + w[t - 16]!) | 0;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let t = 0; t < ROUNDS; t++) {
    const big1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
    const choice = (e & f) ^ (~e & g);
    const t1 = (h + big1 + choice + K[t]! + w[t]!) | 0;
    const big0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + big0 + majority) | 0;
  }
  state[0] = state[0]! + a;
  state[1] = state[1]! + b;
  state[2] = state[2]! + c;
  state[3] = state[3]! + d;
  state[4] = state[4]! + e;
  state[5] = state[5]! + f;
  state[6] = state[6]! + g;
  state[7] = state[7]! + h;
}

function rotr(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}
