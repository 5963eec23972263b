import { checkSeed } from '../core/rng.ts';

/** The seed of sample k: seed + k, modulo 2^64, so that `--seed` can repeat each one alone. */
export function sampleSeed(seed: number | bigint, k: number): bigint {
  return (checkSeed(seed) + BigInt(k)) % 2n ** 64n;
}
