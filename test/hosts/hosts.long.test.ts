import { beforeAll, describe } from 'vitest';
import type { Digests } from './digest.ts';
import { GOLDEN, RUNTIMES, THIS_NODE } from './runtimes.ts';
import { testHosts } from './same_bits.ts';

/** The hosts that hosts.test.ts leaves out, to be quick: other ages of V8, and V8 with wide vectors. */
let here: Digests;
beforeAll(async () => {
  here = (await THIS_NODE.run(GOLDEN.prompt_ids)).digests;
});

describe('installed hosts: the others', () => {
  testHosts(
    RUNTIMES.filter(({ isQuick }) => !isQuick),
    () => here,
  );
});
