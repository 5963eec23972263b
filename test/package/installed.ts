import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/fixtures.ts';

/** What a clone after `npm ci` has that packing needs: sources, settings, kernels, development tools. */
const SOURCES = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'asconfig.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'src',
  'kernels',
  'docs',
  'dist/wasm',
];

export interface PackedFile {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
}

export interface Installed {
  /** Packed from here: a copy, so that the checkout is left alone. */
  readonly clone: string;
  /** An empty folder in which the package was installed. */
  readonly app: string;
  readonly files: readonly PackedFile[];
  remove(): void;
}

const run = promisify(execFile);
const OPTIONS = { maxBuffer: 1 << 26, timeout: 120_000, killSignal: 'SIGKILL' } as const;

/** Packs the project and installs the tarball into an empty folder, as a user does. */
export function packAndInstall(): Promise<Installed> {
  return pack(async (tarball, app) => {
    await npm(app, 'install', tarball, '--prefer-offline', '--no-audit', '--no-fund');
  });
}

/** Packs the project and unpacks the tarball beside the libraries that it needs: the same files, in half the time. */
export function packAndUnpack(): Promise<Installed> {
  return pack(async (tarball, app) => {
    const modules = join(app, 'node_modules');
    const [files, bin] = [join(modules, 'glassformer'), join(modules, '.bin')];
    for (const folder of [files, bin, join(modules, '@huggingface')]) mkdirSync(folder, { recursive: true });
    await output('tar', ['-xzf', tarball, '-C', files, '--strip-components=1'], app);
    symlinkSync('../glassformer/dist/cli/main.js', join(bin, 'glassformer'));
    const { dependencies } = JSON.parse(readFileSync(join(files, 'package.json'), 'utf8')) as { dependencies: object };
    for (const name of Object.keys(dependencies)) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  });
}

async function pack(install: (tarball: string, app: string) => Promise<void>): Promise<Installed> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'glassformer-package-')));
  const [clone, app] = [join(folder, 'clone'), join(folder, 'app')];
  try {
    for (const name of SOURCES) {
      if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(clone, name), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
    writeFileSync(join(clone, 'dist', 'stale.js'), 'left behind by a file that is no more');
    const [packed] = await npmPack(clone, folder);
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), '{ "private": true, "type": "module" }\n');
    await install(join(folder, packed!.filename), app);
    return { clone, app, files: packed!.files, remove: () => rmSync(folder, { recursive: true, force: true }) };
  } catch (e) {
    rmSync(folder, { recursive: true, force: true });
    throw e;
  }
}

async function npmPack(clone: string, to: string): Promise<{ filename: string; files: PackedFile[] }[]> {
  const output = await npm(clone, 'pack', '--json', '--pack-destination', to);
  // Scripts that pack runs may print before it.
  return JSON.parse(output.slice(output.indexOf('[\n')));
}

async function npm(folder: string, ...args: string[]): Promise<string> {
  return output('npm', args, folder);
}

/** What a program prints; a failure shows all that it said. */
export async function output(program: string, args: readonly string[], folder: string): Promise<string> {
  try {
    return (await run(program, args, { ...OPTIONS, cwd: folder })).stdout;
  } catch (e) {
    const { stdout, stderr } = e as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout ?? ''}${stderr ?? e}`);
  }
}
