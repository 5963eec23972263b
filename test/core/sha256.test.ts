import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSha256, hexOf, type Sha256, sha256 } from '../../src/core/sha256.ts';
import { SEARCH } from '../support/mutant_search.ts';

/** NIST's examples for FIPS 180-4: messages of one block, of two, and of none. */
test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
])('of %j', (text, digest) => {
  expect(hexOf(sha256(new TextEncoder().encode(text)))).toBe(digest);
});

/** Lengths around a block's end and around the place where the length no longer fits behind the message. */
const lengths = fc.oneof(fc.constantFrom(0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129), fc.nat(400));
const messages = lengths.chain((n) => fc.uint8Array({ minLength: n, maxLength: n }));

/** In pieces cut anywhere, also empty ones. */
const agreesWithNode = (create: () => Sha256) =>
  fc.property(messages, fc.array(fc.nat(400), { maxLength: 5 }), (message, raw) => {
    const cuts = [0, ...raw.map((n) => n % (message.length + 1)).sort((a, b) => a - b), message.length];
    const sha = create();
    for (let i = 1; i < cuts.length; i++) sha.update(message.subarray(cuts[i - 1]!, cuts[i]!));
    return hexOf(sha.digest()) === createHash('sha256').update(message).digest('hex');
  });

test('agrees with another implementation, however the message is cut', () => {
  fc.assert(agreesWithNode(createSha256), { numRuns: 500 });
});

test('and one that forgets what is left of a block is caught', () => {
  const forgetful = (): Sha256 => {
    const sha = createSha256();
    const mutant: Sha256 = {
      update: (bytes) => {
        sha.update(bytes.length > 64 ? bytes.subarray(0, bytes.length & ~63) : bytes);
        return mutant;
      },
      digest: () => sha.digest(),
    };
    return mutant;
  };
  expect(fc.check(agreesWithNode(forgetful), SEARCH).failed).toBe(true);
});
