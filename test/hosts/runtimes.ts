import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { FORMAT_MODULES } from '../../src/exec/wasm/format_kernels.ts';
import { ROOT } from '../support/fixtures.ts';
import type { Digests } from './digest.ts';

/** Hosts beside the one that runs the tests; `npm run install:hosts` installs what package.json in runtimes/ lists. */
export interface Runtime {
  readonly name: string;
  readonly program: string;
  readonly isInstalled: boolean;
  /** In `npm test`; the others in `npm run test:long`. */
  readonly isQuick: boolean;
  /** Runs the digest program there. */
  run(prompt: readonly number[]): Promise<{ readonly host: string; readonly digests: Digests }>;
}

const INSTALLED = join(ROOT, 'test/hosts/runtimes/node_modules');

/** One of each engine, and the newest V8. */
const QUICK: readonly string[] = ['node-26', 'bun'];

function nodeLike(name: string, program: string, flags: readonly string[] = []): Runtime {
  return {
    name,
    program,
    isInstalled: existsSync(program),
    isQuick: QUICK.includes(name),
    run: (prompt) =>
      inScratch(async (folder) => {
        const file = await bundle('digest_node.ts', folder, 'node');
        return lastJsonLine(await execute(program, [...flags, file, ...prompt.map(String)]));
      }),
  };
}

/** Cloudflare's runtime: no files, no Node, no compiling of WASM; everything is embedded by its configuration. */
function workerd(program: string): Runtime {
  return {
    name: 'workerd',
    program,
    isInstalled: existsSync(program),
    isQuick: true,
    run: (prompt) =>
      inScratch(async (folder) => {
        await bundle('digest_workerd.ts', folder, 'browser');
        cpSync(join(ROOT, 'dist/wasm'), folder, { recursive: true });
        writeFileSync(join(folder, 'kernels.mjs'), workerdKernels());
        copyFileSync(join(ROOT, 'src/embedded/lm/model.gguf'), join(folder, 'model.gguf'));
        const config = join(folder, 'config.capnp');
        writeFileSync(config, workerdConfig(prompt));
        return lastJsonLine(await execute(program, ['test', config]));
      }),
  };
}

/** The Node that runs the tests, in a process of its own: a test runner's instrumented code is slow. */
export const THIS_NODE = nodeLike('this node', process.execPath);

/**
 * Makes one 256-bit vector of two where V8 finds them side by side; off by default. Only Node 26 is right with it: Node 24 gets products
 * wrong (docs/decisions/0064-wide-vectors.md).
 */
export const WIDE_VECTORS = { node: join(INSTALLED, 'node-26/bin/node'), flag: '--experimental-wasm-revectorize' };

/** The first Node that package.json allows, then the latest of each line. */
export const RUNTIMES: readonly Runtime[] = [
  ...['node-20-first', 'node-20', 'node-22', 'node-24', 'node-26'].map((name) =>
    nodeLike(name, join(INSTALLED, name, 'bin/node')),
  ),
  nodeLike('node-26 with 256-bit vectors', WIDE_VECTORS.node, [WIDE_VECTORS.flag]),
  nodeLike('deno', join(INSTALLED, '@deno/linux-x64-glibc/deno'), ['run', '--allow-all', '--no-config', '--no-lock']),
  nodeLike('bun', join(INSTALLED, '@oven/bun-linux-x64/bin/bun'), ['run']),
  workerd(join(INSTALLED, '@cloudflare/workerd-linux-64/bin/workerd')),
];

/**
 * A folder of its own, two levels below the root as src/platform and dist/platform are: bundled there, platform/node.ts finds
 * the kernels and the embedded model where it looks for them.
 */
async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, '.cache', 'hosts-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One file without imports, since hosts differ in what they make of TypeScript. */
export async function bundle(entry: string, folder: string, platform: 'node' | 'browser'): Promise<string> {
  const outfile = join(folder, entry.replace(/\.ts$/, '.mjs'));
  await build({
    entryPoints: [join(ROOT, 'test/hosts', entry)],
    outfile,
    platform,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    external: ['*/kernels.mjs', '*.gguf'],
    logLevel: 'error',
  });
  return outfile;
}

async function execute(program: string, args: readonly string[]): Promise<string> {
  const options = { timeout: 50_000, killSignal: 'SIGKILL', maxBuffer: 1 << 24 } as const;
  const { stdout } = await promisify(execFile)(program, args, options);
  return stdout;
}

function lastJsonLine(output: string): { host: string; digests: Digests } {
  const line = output.split('\n').findLast((l) => l.startsWith('{'));
  if (line === undefined) throw new Error(`the digest program printed no JSON: ${output.slice(0, 500)}`);
  return JSON.parse(line);
}

/** "simd/core.wasm" and its like: every module of both builds. */
export const KERNEL_FILES: readonly string[] = (['simd', 'relaxed'] as const).flatMap((build) =>
  ['core', ...Object.keys(FORMAT_MODULES)].map((name) => `${build}/${name}.wasm`),
);

/** A module whose default export is all kernels, compiled, as `createBrowserHost` takes them. */
function workerdKernels(): string {
  const imports = KERNEL_FILES.map((file, i) => `import m${i} from './${file}';`);
  const entries = (build: string) =>
    KERNEL_FILES.flatMap((file, i) => (file.startsWith(build) ? [`${basename(file, '.wasm')}: m${i}`] : [])).join(', ');
  return `${imports.join('\n')}\nexport default { simd: { ${entries('simd')} }, relaxed: { ${entries('relaxed')} } };\n`;
}

function workerdConfig(prompt: readonly number[]): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .digest)]);
const digest :Workerd.Worker = (
  modules = [
    (name = "main.mjs", esModule = embed "digest_workerd.mjs"),
    (name = "kernels.mjs", esModule = embed "kernels.mjs"),
    ${KERNEL_FILES.map((file) => `(name = "${file}", wasm = embed "${file}"),`).join('\n    ')}
    (name = "model.gguf", data = embed "model.gguf"),
  ],
  bindings = [(name = "prompt", json = "${JSON.stringify(prompt)}")],
  compatibilityDate = "2025-01-01",
);
`;
}

/** What the embedded model must answer, from its golden file. */
export const GOLDEN = JSON.parse(readFileSync(join(ROOT, 'src/embedded/lm/golden.json'), 'utf8')) as {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
};
