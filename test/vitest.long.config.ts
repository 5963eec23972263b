import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The same properties over longer histories and more cases: run by .ci/run, not by `npm test`. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    include: ['test/**/*.long.test.ts'],
    exclude: ['**/node_modules/**', 'test/peers/**'],
    maxWorkers: 2,
    testTimeout: 600_000,
    hookTimeout: 300_000,
  },
});
