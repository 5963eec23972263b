import { availableParallelism } from 'node:os';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Digests, ENGINES } from './digest.ts';
import { GOLDEN, RUNTIMES, THIS_NODE } from './runtimes.ts';

/**
 * Law 2 over hosts: every build and tier gives the bits that the naive tier gives here, on V8 of many ages, on JavaScriptCore
 * (Bun), and where nothing is compiled at run time (workerd). browser.test.ts adds Chromium.
 */
let here: Digests;
beforeAll(async () => {
  here = (await THIS_NODE.run(GOLDEN.prompt_ids)).digests;
});

/** All engines that ran say what naive says here. */
function expectNaivesBits(digests: Digests): void {
  for (const engine of ENGINES) {
    if (digests[engine] !== null) expect({ [engine]: digests[engine] }).toEqual({ [engine]: here.naive });
  }
  expect(digests.simd, 'the simd build runs everywhere').not.toBeNull();
}

test(`this host: all builds give naive's bits`, () => {
  expectNaivesBits(here);
  expect(here.relaxed, 'Node has relaxed SIMD since version 20').not.toBeNull();
});

test('digests tell models and activation forms apart, and one that differs is caught', () => {
  const names = Object.keys(here.naive!).filter((n) => !n.includes('sampled') && /embedded|q[48]_0|f32 act/.test(n));
  expect(new Set(names.map((n) => here.naive![n])).size).toBe(names.length);
  for (const engine of ENGINES) {
    for (const name of names) {
      const wrong = { ...here, [engine]: { ...here[engine], [name]: here.naive![name]!.replace(/.$/, '?') } };
      expect(() => expectNaivesBits(wrong)).toThrow();
    }
  }
});

describe('installed hosts', () => {
  for (const { name, isInstalled, run } of RUNTIMES) {
    if (!isInstalled) {
      test(`SKIPPED: ${name} is not installed (npm run install:hosts)`, (context) => context.skip());
      continue;
    }
    test(`${name}: all builds give naive's bits`, async ({ annotate }) => {
      const { host, digests } = await run(GOLDEN.prompt_ids);
      expectNaivesBits(digests);
      await annotate(`${host}: ${ENGINES.filter((engine) => digests[engine] !== null).join(', ')}`);
      if (name !== 'workerd' && availableParallelism() > 1) expect(digests.threads, 'it has threads').not.toBeNull();
    });
  }
});
