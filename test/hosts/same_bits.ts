import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { type Digests, ENGINES } from './digest.ts';
import { GOLDEN, type Runtime } from './runtimes.ts';

/** All engines that ran say what naive says here. */
export function expectNaivesBits(digests: Digests, here: Digests): void {
  for (const engine of ENGINES) {
    if (digests[engine] !== null) expect({ [engine]: digests[engine] }).toEqual({ [engine]: here.naive });
  }
  expect(digests.simd, 'the simd build runs everywhere').not.toBeNull();
}

/** A test for each host, which is skipped by name where it is not installed. `here`: what this host says. */
export function testHosts(runtimes: readonly Runtime[], here: () => Digests): void {
  for (const { name, isInstalled, run } of runtimes) {
    if (!isInstalled) {
      test(`SKIPPED: ${name} is not installed (npm run install:hosts)`, (context) => context.skip());
      continue;
    }
    test(`${name}: all builds give naive's bits`, async ({ annotate }) => {
      const { host, digests } = await run(GOLDEN.prompt_ids);
      expectNaivesBits(digests, here());
      await annotate(`${host}: ${ENGINES.filter((engine) => digests[engine] !== null).join(', ')}`);
      if (name !== 'workerd' && availableParallelism() > 1) expect(digests.threads, 'it has threads').not.toBeNull();
    });
  }
}
