import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts', '**/node_modules/**', 'test/peers/**'],
    maxWorkers: 2,
    // Nothing is ambient, so files can share a process: modules are loaded and compiled once, which saves a quarter of the time.
    isolate: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
