import { CapacityError, ConfigError } from '../core/errors.ts';

/** The refusals that every form of the cache has in common: one wording, in one place. */

export function checkMaxSeq(maxSeq: number): void {
  if (!Number.isInteger(maxSeq) || maxSeq < 1) throw new ConfigError(`maxSeq is ${maxSeq}, must be a positive integer`);
}

/** The length after `count` more positions. Throws ConfigError for a count that is none, CapacityError beyond maxSeq. */
export function lengthened(length: number, count: number, maxSeq: number): number {
  if (!Number.isInteger(count) || count < 0) {
    throw new ConfigError(`kv cache: cannot reserve ${count} positions, must be a whole number from 0 on`);
  }
  if (length + count > maxSeq) {
    throw new CapacityError(
      `kv cache: position ${length + count - 1} does not fit maxSeq=${maxSeq}; raise --max-seq or shorten the prompt`,
    );
  }
  return length + count;
}

/** Throws ConfigError unless a sequence of `has` positions can be cut to `length`. */
export function checkTruncate(length: number, has: number): void {
  if (!Number.isInteger(length) || length < 0 || length > has) {
    throw new ConfigError(`kv cache: cannot truncate to ${length} positions, the sequence has ${has}`);
  }
}
