import { beforeAll, describe, expect, test } from 'vitest';
import { type Digests, ENGINES } from './digest.ts';
import { GOLDEN, RUNTIMES, THIS_NODE } from './runtimes.ts';
import { expectNaivesBits, testHosts } from './same_bits.ts';

/**
 * Law 2 over hosts: every build and tier gives the bits that the naive tier gives here, on V8 of many ages, on JavaScriptCore
 * (Bun), and where nothing is compiled at run time (workerd). browser.test.ts adds Chromium, hosts.long.test.ts the other hosts.
 */
let here: Digests;
beforeAll(async () => {
  here = (await THIS_NODE.run(GOLDEN.prompt_ids)).digests;
});

test(`this host: all builds give naive's bits`, () => {
  expectNaivesBits(here, here);
  expect(here.relaxed, 'Node has relaxed SIMD since version 20').not.toBeNull();
});

test('digests tell models and activation forms apart, and one that differs is caught', () => {
  const names = Object.keys(here.naive!).filter((n) => !n.includes('sampled') && /embedded|q[48]_0|f32 act/.test(n));
  expect(new Set(names.map((n) => here.naive![n])).size).toBe(names.length);
  for (const engine of ENGINES) {
    for (const name of names) {
      const wrong = { ...here, [engine]: { ...here[engine], [name]: here.naive![name]!.replace(/.$/, '?') } };
      expect(() => expectNaivesBits(wrong, here)).toThrow();
    }
  }
});

describe('installed hosts: the newest Node and the other engines', () => {
  testHosts(
    RUNTIMES.filter(({ isQuick }) => isQuick),
    () => here,
  );
});
