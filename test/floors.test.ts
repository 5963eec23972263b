import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './support/fixtures.ts';
import {
  hostOnlyAtTheDoors,
  importsResolve,
  kernelsStandAlone,
  knownFolders,
  namedExportsOnly,
  noCatchAllFile,
  noCycle,
  noSidewaysImport,
  noUpwardImport,
  onlyListedPackages,
  parseModules,
  type Rule,
  shortFiles,
} from './support/module_rules.ts';

/** Architecture, section 3: each rule is a line, and each line is shown able to fail. */

function readSources(...folders: string[]): Map<string, string> {
  const sources = new Map<string, string>();
  for (const folder of folders) {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name).slice(ROOT.length).replaceAll('\\', '/');
      if (entry.isFile() && path.endsWith('.ts') && !path.includes('node_modules')) {
        sources.set(path, readFileSync(join(ROOT, path), 'utf8'));
      }
    }
  }
  return sources;
}

const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const packages = onlyListedPackages(Object.keys(dependencies));
const files = parseModules(readSources('src', 'kernels'));

/** Each violation: files that break exactly this rule. */
const RULES: [title: string, rule: Rule, violations: Record<string, string>[]][] = [
  ['every folder has a floor', knownFolders, [{ 'src/helpers/a.ts': '' }]],
  [
    'no upward import',
    noUpwardImport,
    [
      { 'src/core/a.ts': `import { b } from '../ops/b.ts';`, 'src/ops/b.ts': '' },
      { 'src/core/a.ts': `import type { B } from '../ops/b.ts';`, 'src/ops/b.ts': '' },
      { 'src/core/a.ts': `export * from '../ops/b.ts';`, 'src/ops/b.ts': '' },
      { 'src/core/a.ts': `export type { B } from '../ops/b.ts';`, 'src/ops/b.ts': '' },
      { 'src/core/a.ts': `const b = await import('../ops/b.ts');`, 'src/ops/b.ts': '' },
      { 'src/core/a.ts': `let b: import('../ops/b.ts').B;`, 'src/ops/b.ts': '' },
      { 'src/exec/wasm/a.ts': `import '../../index.ts';`, 'src/index.ts': '' },
      { 'src/index.ts': `import './cli/main.ts';`, 'src/cli/main.ts': '' },
    ],
  ],
  [
    'no import between folders of one floor',
    noSidewaysImport,
    [
      { 'src/graph/a.ts': `import '../kvcache/b.ts';`, 'src/kvcache/b.ts': '' },
      { 'src/load/a.ts': `import type { B } from '../text/b.ts';`, 'src/text/b.ts': '' },
      { 'src/cli/a.ts': `import '../server/b.ts';`, 'src/server/b.ts': '' },
    ],
  ],
  [
    'no cycle between files',
    noCycle,
    [
      { 'src/core/a.ts': `import './b.ts';`, 'src/core/b.ts': `import type { A } from './a.ts';` },
      { 'src/core/a.ts': `import './b.ts';`, 'src/core/b.ts': `import './c.ts';`, 'src/core/c.ts': `import './a.ts';` },
      { 'src/core/a.ts': `import type { A } from './a.ts';` },
      { 'kernels/a.ts': `import { b } from './b';`, 'kernels/b.ts': `import { a } from './a';` },
    ],
  ],
  [
    'the host is touched in platform/, cli/ and server/ only',
    hostOnlyAtTheDoors,
    [
      { 'src/load/a.ts': `import { open } from 'node:fs';` },
      { 'src/index.ts': `import type { Stats } from 'node:fs';` },
      { 'src/load/a.ts': `const get = fetch;` },
      { 'src/load/a.ts': `globalThis.fetch('x');` },
      { 'src/exec/a.ts': `const n = navigator.hardwareConcurrency;` },
      { 'src/exec/a.ts': `const o = { process };` },
      { 'src/exec/a.ts': `const isNode = typeof process === 'object';` },
    ],
  ],
  ['packages are listed dependencies', packages, [{ 'src/load/a.ts': `import 'fs';` }]],
  ['relative imports name a file', importsResolve, [{ 'src/core/a.ts': `import './b.ts';` }]],
  [
    'kernels/ and src/ do not import each other',
    kernelsStandAlone,
    [
      { 'src/exec/a.ts': `import '../../kernels/b.ts';`, 'kernels/b.ts': '' },
      { 'kernels/b.ts': `import { a } from '../src/exec/a';`, 'src/exec/a.ts': '' },
    ],
  ],
  [
    'named exports only',
    namedExportsOnly,
    [
      { 'src/core/a.ts': 'export default 1;' },
      { 'src/core/a.ts': 'const a = 1; export { a as default };' },
      { 'src/core/a.ts': 'const a = 1; export = a;' },
    ],
  ],
  ['no utils.ts, no stray index.ts', noCatchAllFile, [{ 'src/core/utils.ts': '' }, { 'src/core/index.ts': '' }]],
  ['no file above 500 lines', shortFiles, [{ 'src/core/a.ts': 'export {};\n'.repeat(501) }]],
];

describe.each(RULES)('%s', (_title, rule, violations) => {
  test('holds', () => expect(rule(files)).toEqual([]));

  test.each(violations.map((v) => [Object.values(v)[0]!.split('\n')[0], v] as const))(
    'catches %s',
    (_text, planted) => {
      expect(rule(parseModules(new Map(Object.entries(planted))))).toHaveLength(1);
    },
  );
});

test('what the rules allow', () => {
  const allowed = parseModules(
    new Map([
      ['src/core/a.ts', `interface Host { fetch(): void }\nexport const load = (host: Host) => host.fetch();\n`],
      [
        'src/ops/b.ts',
        `import { load } from '../core/a.ts';\nexport const b = { fetch: load };\n// fetch and process\n`,
      ],
      [
        'src/ops/c.ts',
        `import type { b } from './b.ts';\nexport type C = typeof b;\nconst text = "import './d.ts'";\n`,
      ],
      ['src/index.ts', `export * from './ops/b.ts';\nimport { Template } from '@huggingface/jinja';\n`],
      ['src/cli/main.ts', `import '../index.ts';\nimport 'node:fs';\nprocess.exit(await fetch('x').then(() => 0));\n`],
      ['kernels/k.ts', `import { lane } from './lanes';\nexport function k(x: usize): f32 { return lane(x); }\n`],
      ['kernels/lanes.ts', 'export function lane(x: usize): f32 { return load<f32>(x); }\n'],
    ]),
  );
  for (const [title, rule] of RULES) expect(rule(allowed), title).toEqual([]);
});

test('tests are short files too', () => {
  expect(shortFiles(parseModules(readSources('test')))).toEqual([]);
});

test('the sources were found', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.some((f) => f.path === 'src/core/sum.ts' && f.imports.length === 0)).toBe(true);
});
