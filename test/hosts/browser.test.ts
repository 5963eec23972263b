import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bundleSizes } from '../support/bundle_sizes.ts';
import { ROOT } from '../support/fixtures.ts';
import { resultOf, testInChromium } from './chromium.ts';
import type { Digests } from './digest.ts';
import { bundle, GOLDEN, KERNEL_FILES, THIS_NODE } from './runtimes.ts';
import { serveFolder } from './static_server.ts';

/** What a page has to download: the issue of size is settled here, not in a benchmark. */
const MAX_JS_BYTES = 100_000;
const MAX_KERNEL_BYTES = 60_000;

test('a page loads under 100 kB of JavaScript (gzip), every kernel module is under 60 kB', async ({ annotate }) => {
  const { atOnce, later } = await bundleSizes();
  expect(atOnce).toBeLessThan(MAX_JS_BYTES);
  expect(later, 'templates and grammars').toBeGreaterThan(0);
  const sizes = { atOnce, later };
  for (const file of KERNEL_FILES) {
    const bytes = readFileSync(join(ROOT, 'dist/wasm', file)).length;
    expect(bytes, file).toBeLessThan(MAX_KERNEL_BYTES);
    Object.assign(sizes, { [file]: bytes });
  }
  await annotate(JSON.stringify(sizes));
});

const PAGE = `<!doctype html><meta charset="utf-8"><title>glassformer</title><script type="module">
const worker = new Worker('/browser_worker.mjs', { type: 'module' });
worker.onmessage = ({ data }) => Object.assign(globalThis, data);
worker.onerror = (e) => { globalThis.failure = 'worker: ' + e.message; };
worker.postMessage(${JSON.stringify(GOLDEN)});
</script>`;

testInChromium('a worker gives the golden text in both builds, and the bits that Node gives', async (openPage) => {
  const folder = mkdtempSync(join(tmpdir(), 'glassformer-page-'));
  await bundle('browser_worker.ts', folder, 'browser');
  cpSync(join(ROOT, 'dist/wasm'), join(folder, 'wasm'), { recursive: true });
  copyFileSync(join(ROOT, 'src/embedded/lm/model.gguf'), join(folder, 'model.gguf'));
  writeFileSync(join(folder, 'index.html'), PAGE);
  const server = await serveFolder(folder);
  try {
    const page = await openPage(`${server.address}/index.html`);
    const got = await resultOf<{ simd: string; relaxed: string; digests: Digests }>(page);
    expect(got.simd).toBe(GOLDEN.greedy_text);
    expect(got.relaxed).toBe(GOLDEN.greedy_text);
    expect(
      server.requests.filter((r) => r === '/model.gguf'),
      'the model comes in parts',
    ).toEqual([]);
    const { digests } = await THIS_NODE.run(GOLDEN.prompt_ids);
    expect(got.digests).toEqual(digests);
    expect(digests.relaxed).not.toBeNull();
    if (availableParallelism() > 1) expect(digests.threads).not.toBeNull();
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
