import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KERNEL_FILES } from '../hosts/runtimes.ts';
import { ROOT } from '../support/fixtures.ts';
import { type Installed, packAndUnpack } from './installed.ts';
import { testStories } from './stories.ts';

/** The package as its users have it: packed, unpacked beside its libraries, imported and run. npm installs it in pack.long.test.ts. */
let installed: Installed;
beforeAll(async () => {
  installed = await packAndUnpack();
}, 180_000);
afterAll(() => installed?.remove());

/** The kernels, and the workers that call them in other threads. */
const WASM_FOLDER: readonly string[] = [...KERNEL_FILES, 'node_worker.js', 'browser_worker.js'].map(
  (file) => `dist/wasm/${file}`,
);

const inPackage = (...parts: string[]): string => join(installed.app, 'node_modules', 'glassformer', ...parts);
const paths = (): string[] => installed.files.map(({ path }) => path);

test('holds the compiled program, types, kernels and the embedded model', () => {
  expect(paths()).toEqual(
    expect.arrayContaining([
      'package.json',
      'LICENSE',
      'dist/index.node.js',
      'dist/index.node.d.ts',
      'dist/index.browser.js',
      'dist/index.browser.d.ts',
      'dist/cli/main.js',
      ...WASM_FOLDER,
      'src/index.ts',
      'src/embedded/lm/model.gguf',
    ]),
  );
  const program = installed.files.find(({ path }) => path === 'dist/cli/main.js')!;
  expect(program.mode & 0o111, 'the program is executable').toBe(0o111);
  expect(readFileSync(inPackage('dist/cli/main.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});

test('holds nothing else: no tests, tools, stale or temporary files', () => {
  const allowed = [
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
    /^dist\/(?!wasm\/|stale).*\.(js|d\.ts)(\.map)?$/,
    /^src\/(?!embedded\/).*\.ts$/,
    /^src\/embedded\/\w+\/(model\.(gguf|safetensors)|(golden|config|preprocessor_config|train-log)\.json|samples\.txt|README\.md)$/,
    /^docs\/(?!scripts\/).*\.md$/,
  ];
  const others = paths().filter((path) => !WASM_FOLDER.includes(path));
  expect(others.filter((path) => !allowed.some((rule) => rule.test(path)))).toEqual([]);
});

test('names no folder of the machine that built it, and its source maps lead to its sources', () => {
  const machine = [ROOT, dirname(installed.clone), homedir()].map((path) => path.replace(/\/$/, ''));
  for (const path of paths().filter((p) => /\.(js|ts|map|json|md)$/.test(p))) {
    const text = readFileSync(inPackage(path), 'utf8');
    for (const folder of machine) expect(text.includes(`${folder}/`), `${path} names ${folder}`).toBe(false);
    if (!path.endsWith('.map')) continue;
    const { sources } = JSON.parse(text) as { sources: string[] };
    for (const source of sources) expect(existsSync(inPackage(dirname(path), source)), `${path}: ${source}`).toBe(true);
  }
});

test('every address in "exports" and "bin" is there', () => {
  const { exports, bin } = JSON.parse(readFileSync(inPackage('package.json'), 'utf8')) as Record<string, unknown>;
  // "*" stands for every kernel module.
  const filesOf = (target: string): string[] =>
    target.includes('*') ? KERNEL_FILES.map((file) => target.replace('*.wasm', file)) : [target];
  const targets = (value: unknown): string[] =>
    typeof value === 'string' ? filesOf(value) : Object.values(value as object).flatMap(targets);
  const all = [...targets(exports), ...targets(bin)];
  expect(all.length).toBeGreaterThan(8);
  for (const target of all) expect(existsSync(inPackage(target)), target).toBe(true);
});

testStories(() => installed);
