import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Other engines on our files: npm run test:peers, which installs them. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    include: ['test/peers/*.test.ts'],
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
