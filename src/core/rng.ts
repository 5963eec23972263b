import { ConfigError } from './errors.ts';

/**
 * Random numbers that are a pure function of (seed, counter): no hidden state, the same on every host, and any draw can be
 * repeated or skipped to. The generator is Philox4x32-10, a cipher-like bijection of 128-bit counters under a 64-bit key.
 * Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
 * Not for secrets: whoever knows the seed knows every number.
 */

/** Four 32-bit words, unsigned. */
export type Words4 = readonly [number, number, number, number];

/** The two multipliers of a round, and what each key word grows by after it: golden ratio, sqrt(3) - 1. */
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Seeds are 64-bit keys. */
const SEED_END = 2n ** 64n;
const TWO_32 = 2 ** 32;

/** Upper 32 bits of the exact 64-bit product of two unsigned 32-bit words. The lower ones are `Math.imul(a, b) >>> 0`. */
export function mulHigh32(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  // Schoolbook with 16-bit digits. Each line is below 2^32: (2^16 - 1)^2 + (2^16 - 1) = 2^32 - 2^16.
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}

/** Ten rounds of Philox: counter (word 0 lowest) under key, all words unsigned. */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [x0, x1, x2, x3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh32(MULTIPLIER_0, x0);
    const low0 = Math.imul(MULTIPLIER_0, x0) >>> 0;
    const high1 = mulHigh32(MULTIPLIER_1, x2);
    const low1 = Math.imul(MULTIPLIER_1, x2) >>> 0;
    x0 = (high1 ^ x1 ^ k0) >>> 0;
    x1 = low1;
    x2 = (high0 ^ x3 ^ k1) >>> 0;
    x3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [x0, x1, x2, x3];
}

/**
 * The number that belongs to (seed, counter): 53 bits of one Philox block, as a multiple of 2^-53 in [0, 1).
 * Throws ConfigError unless counter is an integer in 0..2^53 - 1 and seed is one that `checkSeed` takes.
 */
export function uniform(seed: number | bigint, counter: number): number {
  const key = checkSeed(seed);
  if (!Number.isSafeInteger(counter) || counter < 0) {
    throw new ConfigError(`random numbers: counter is ${counter}, must be an integer in 0..2^53 - 1`);
  }
  const [x0, x1] = philox4x32(
    [counter >>> 0, Math.floor(counter / TWO_32), 0, 0],
    [Number(key & 0xffffffffn), Number(key >> 32n)],
  );
  // 27 bits of the first word above 26 of the second.
  return ((x0 >>> 5) * 2 ** 26 + (x1 >>> 6)) / 2 ** 53;
}

/** A place in one seed's stream of numbers. Its whole state is (seed, counter): save both, and `createRng` resumes there. */
export interface Rng {
  readonly seed: bigint;
  /** The counter of the next number: how many were drawn, where it began at 0. */
  readonly counter: number;
  /** `uniform(seed, counter)`, and one step on. */
  next(): number;
  /** A second generator at the same place; neither moves the other. */
  fork(): Rng;
}

/** A generator whose next number is `uniform(seed, counter)`. Throws ConfigError for a seed that `checkSeed` refuses. */
export function createRng(seed: number | bigint, counter = 0): Rng {
  const key = checkSeed(seed);
  let at = counter;
  return {
    seed: key,
    get counter() {
      return at;
    },
    next() {
      const value = uniform(key, at);
      at += 1;
      return value;
    },
    fork: () => createRng(key, at),
  };
}

/** The seed as a 64-bit key. Throws ConfigError unless it is an integer in 0..2^53 - 1, or a bigint in 0..2^64 - 1. */
export function checkSeed(seed: number | bigint): bigint {
  const isExact = typeof seed === 'bigint' || Number.isSafeInteger(seed);
  if (!isExact || seed < 0 || BigInt(seed) >= SEED_END) {
    throw new ConfigError(
      `seed is ${seed}, must be an integer in 0..2^53 - 1 (or a bigint in 0..2^64 - 1); the same seed gives the same tokens`,
    );
  }
  return BigInt(seed);
}
