import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { FORMAT_MODULES } from '../../src/exec/wasm/format_kernels.ts';
import { bundleSizes } from '../support/bundle_sizes.ts';
import { type Figure, figure, type Section, type Table } from './figures.ts';

const BUILDS = ['simd', 'relaxed'] as const;
const MODULE_AT_MOST = 60;
const BUNDLE_AT_MOST = 100;
const KB = 1000;

/** What a page has to download before its model. */
export const SIZES: Section = { name: 'sizes', run: measureSizes };

async function measureSizes(): Promise<Table> {
  const figures: Figure[] = [];
  for (const name of BUILDS.flatMap((build) => ['core', ...Object.keys(FORMAT_MODULES)].map((m) => `${build}/${m}`))) {
    const bytes = readFileSync(new URL(`../../dist/wasm/${name}.wasm`, import.meta.url));
    figures.push(
      figure(`${name}.wasm`, 'kB', [bytes.length / KB]),
      figure(`${name}.wasm, gzip`, 'kB', [gzipped(bytes)], { atMost: MODULE_AT_MOST }),
    );
  }
  const { atOnce, later } = await bundleSizes();
  figures.push(
    figure('JavaScript that every page loads, minified, gzip', 'kB', [atOnce / KB], { atMost: BUNDLE_AT_MOST }),
    figure('JavaScript loaded with chat templates, grammars and schemas', 'kB', [later / KB]),
  );
  return { title: 'Sizes', note: '1 kB is 1,000 bytes; gzip at its highest level.', figures };
}

function gzipped(bytes: Uint8Array): number {
  return gzipSync(bytes, { level: 9 }).length / KB;
}
