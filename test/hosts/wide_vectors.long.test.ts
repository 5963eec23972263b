import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/fixtures.ts';
import { WIDE_VECTORS } from './runtimes.ts';

const { node, flag } = WIDE_VECTORS;
const name = "every kernel has its twin's bits where V8 makes 256-bit vectors";

/** V8's first compiler makes none, so all goes through the optimizing one. */
test.skipIf(!existsSync(node))(
  existsSync(node) ? name : `SKIPPED: ${name}: Node 26 is not installed (npm run install:hosts)`,
  () => {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const flags = [flag, '--no-liftoff'].map((f) => `--execArgv=${f}`);
    const args = [vitest, 'run', '--config', 'test/vitest.config.ts', '--reporter=json', ...flags, 'test/kernels'];
    const report = JSON.parse(execFileSync(node, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 })) as {
      readonly numPassedTests: number;
      readonly numFailedTests: number;
    };
    expect(report.numFailedTests).toBe(0);
    expect(report.numPassedTests).toBeGreaterThan(1000);
  },
);
