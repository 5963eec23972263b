import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Bytes, minified and gzip, of the browser entry with what it imports at once, and of what models and calls that need it load later. */
export async function bundleSizes(): Promise<{ atOnce: number; later: number }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('../../src/index.browser.ts', import.meta.url))],
    outdir: '/engine',
    bundle: true,
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
  });
  const outputs = new Map(Object.entries(metafile.outputs));
  const entry = [...outputs].find(([, { entryPoint }]) => entryPoint?.endsWith('src/index.browser.ts'))![0];
  const atOnce = new Set([entry]);
  for (const path of atOnce) {
    for (const { path: next, kind } of outputs.get(path)!.imports) if (kind === 'import-statement') atOnce.add(next);
  }
  const sizeOf = (isAtOnce: boolean): number =>
    [...outputs.keys()]
      .filter((path) => atOnce.has(path) === isAtOnce)
      .map((path) => outputFiles.find((file) => file.path.endsWith(basename(path)))!)
      .reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);
  return { atOnce: sizeOf(true), later: sizeOf(false) };
}
