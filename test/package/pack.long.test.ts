import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, testInChromium } from '../hosts/chromium.ts';
import { GOLDEN, RUNTIMES } from '../hosts/runtimes.ts';
import { serveFolder } from '../hosts/static_server.ts';
import { ROOT } from '../support/fixtures.ts';
import { type Installed, output, packAndInstall } from './installed.ts';
import { goldenCommand, programOf, testStories } from './stories.ts';

/** The package as npm installs it into an empty folder: imported, run, bundled, type-checked. */
let installed: Installed;
beforeAll(async () => {
  installed = await packAndInstall();
}, 180_000);
afterAll(() => installed?.remove());

const inPackage = (...parts: string[]): string => join(installed.app, 'node_modules', 'glassformer', ...parts);

test('installs its three libraries and nothing that runs at installation', () => {
  const lock = JSON.parse(readFileSync(join(installed.app, 'node_modules', '.package-lock.json'), 'utf8')) as {
    packages: Record<string, { hasInstallScript?: boolean }>;
  };
  const names = Object.keys(lock.packages).map((path) => path.replace('node_modules/', ''));
  expect(names.sort()).toEqual(['@huggingface/jinja', '@huggingface/tokenizers', 'commander', 'glassformer']);
  const { scripts } = JSON.parse(readFileSync(inPackage('package.json'), 'utf8')) as { scripts: object };
  // `prepare` runs in a clone; of a package npm runs only these.
  expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  const others = names.filter((name) => name !== 'glassformer').map((name) => lock.packages[`node_modules/${name}`]!);
  expect(others.every(({ hasInstallScript }) => hasInstallScript !== true)).toBe(true);
});

testStories(() => installed);

/** The oldest and the newest Node; the library runs on all hosts in test/hosts. */
for (const node of RUNTIMES.filter(({ name }) => name === 'node-20-first' || name === 'node-26')) {
  if (!node.isInstalled) {
    test(`SKIPPED: ${node.name} is not installed (npm run install:hosts)`, (context) => context.skip());
    continue;
  }
  test(`the program gives the golden text on ${node.name}`, async () => {
    const answer = JSON.parse(await output(node.program, [programOf(installed), ...goldenCommand], installed.app)) as {
      text: string;
    };
    expect(answer.text).toBe(GOLDEN.greedy_text);
    const threads = String(Math.min(2, availableParallelism()));
    const several = await output(
      node.program,
      [programOf(installed), ...goldenCommand, '--threads', threads],
      installed.app,
    );
    expect((JSON.parse(several) as { text: string }).text).toBe(GOLDEN.greedy_text);
  });
}

const CONSUMER = `
import { ConfigError, isGlassformerError, loadModel, type Model, type Piece, type Session } from 'glassformer';
import { type KernelLocation, loadModel as loadInBrowser } from 'glassformer/browser';

export async function story(model: Model, signal: AbortSignal): Promise<string> {
  const pieces: Piece[] = [];
  for await (const piece of model.generate('Once', { maxTokens: 5, signal })) pieces.push(piece);
  return pieces.map((p) => p.text).join('');
}
export async function main(kernelFiles: KernelLocation, file: Blob): Promise<number> {
  await using model = await loadModel('embedded', { executor: 'wasm', onProgress: ({ doneBytes }) => void doneBytes });
  using session: Session = model.createSession();
  const { data, vocab } = await session.append(model.tokenize('Once'));
  const other: Model = await loadInBrowser(file, { kernelFiles });
  await other.dispose();
  return data.length / vocab;
}
export const advice = (e: unknown): string => (isGlassformerError(e) ? e.name : e instanceof ConfigError ? 'never' : '');
// @ts-expect-error the executor is one of three
export const wrong = loadModel('embedded', { executor: 'gpu' });
`;

/** What a project without the DOM's types writes. */
const SERVER = `
import { loadModel } from 'glassformer';
const model = await loadModel('embedded', { threads: 1 });
for await (const { text, id, logprob } of model.generate({ messages: [{ role: 'user', content: 'Hi' }] })) {
  process.stdout.write(\`\${text} \${id + logprob}\`);
}
`;

/** Projects of three kinds. Declarations are checked too: no skipLibCheck. */
const DOM = ['es2023', 'esnext.disposable', 'dom'];
const PROJECTS = {
  'Node and DOM': { source: CONSUMER, module: 'nodenext', lib: DOM, types: [] },
  'Node alone': { source: SERVER, module: 'nodenext', lib: ['es2023'], types: ['node'] },
  bundler: { source: CONSUMER, module: 'esnext', lib: DOM, types: [], customConditions: ['browser'] },
};

test.each(Object.entries(PROJECTS))('types serve a strict project: %s', async (_name, { source, ...settings }) => {
  const compilerOptions = {
    ...settings,
    moduleResolution: settings.module === 'esnext' ? 'bundler' : 'nodenext',
    target: 'es2023',
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  };
  writeFileSync(join(installed.app, 'consumer.ts'), source);
  const config = join(installed.app, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
  await output(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', config], installed.app);
});

test('a bundler for browsers takes the door without Node', async () => {
  const { metafile } = await build({
    stdin: { contents: `export * from 'glassformer';`, resolveDir: installed.app },
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    logLevel: 'silent', // it fails where a node: module is imported
  });
  const inputs = Object.keys(metafile.inputs).map((path) => path.replace(/^.*node_modules\/glassformer\//, ''));
  expect(inputs).toContain('dist/index.browser.js');
  expect(inputs.filter((path) => /index\.node|platform\/node|cli\//.test(path))).toEqual([]);
});

/** No bundler: the browser resolves names by an import map, and the engine finds its kernels beside its own module. */
const page = (imports: Record<string, string>): string => `<!doctype html><meta charset="utf-8">
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
try {
  const { loadModel } = await import('glassformer/browser');
  const model = await loadModel('/node_modules/glassformer/src/embedded/lm/model.gguf', { activations: 'f32' });
  let text = '';
  for await (const piece of model.generate(${JSON.stringify(GOLDEN.prompt)}, { temperature: 0, maxTokens: 20 })) text += piece.text;
  globalThis.result = { text, kernels: model.info.kernels };
} catch (e) {
  globalThis.failure = String(e.stack ?? e);
}
</script>`;

testInChromium('a page runs the installed package without a bundler', async (openPage) => {
  const moduleOf = (folder: string): string => {
    const names = readdirSync(join(installed.app, 'node_modules', folder, 'dist'));
    return `/node_modules/${folder}/dist/${names.includes('index.js') ? 'index.js' : 'tokenizers.mjs'}`;
  };
  const imports = {
    'glassformer/browser': '/node_modules/glassformer/dist/index.browser.js',
    '@huggingface/jinja': moduleOf('@huggingface/jinja'),
    '@huggingface/tokenizers': moduleOf('@huggingface/tokenizers'),
  };
  writeFileSync(join(installed.app, 'index.html'), page(imports));
  const server = await serveFolder(installed.app);
  try {
    const got = await resultOf<{ text: string; kernels: string }>(await openPage(`${server.address}/index.html`));
    expect(got.text.length).toBeGreaterThan(20);
    expect(GOLDEN.greedy_text.startsWith(got.text)).toBe(true);
    expect(got.kernels).toBe('wasm relaxed');
  } finally {
    await server.close();
  }
});
