// Builds dist/wasm/<build>/<module>.wasm for each build (a target of asconfig.json) and each file of kernels/modules; the
// ladder, which benchmarks compare with and which is no part of the package; and the workers, which call kernels in other
// threads: one file each, without imports, since workers of Node 20 load no TypeScript. `--if-changed`: only what differs
// from the sources. A stamp is a hash of them, so that a fresh clone, a branch switch and an edit are all seen.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..');
const outDir = join(root, 'dist', 'wasm');
const stampFile = join(outDir, 'stamps.json');
const config = join(root, 'asconfig.json');
const BUILDS = Object.keys(JSON.parse(readFileSync(config, 'utf8')).targets);

// All modules of a model share one memory, and a module's constants are written to it when it is instantiated: each has a
// region of its own for them. All regions lie in the memory's first page, which every module's import asks for.
const FIRST_REGION = 1024;
const REGION_BYTES = 2048;
const PAGE_BYTES = 65536;

/** What is built: the source of its exports, its file, and where its constants may lie. */
const ladder = join(here, 'ladder');
const jobs = [
  { out: 'ladder.wasm', build: 'simd', entry: join(ladder, 'index.ts'), base: FIRST_REGION },
  {
    out: 'ladder_relaxed.wasm',
    build: 'relaxed',
    entry: join(ladder, 'relaxed.ts'),
    base: FIRST_REGION + REGION_BYTES,
  },
];
for (const [i, file] of readdirSync(join(here, 'modules')).sort().entries()) {
  const base = FIRST_REGION + i * REGION_BYTES;
  if (base + REGION_BYTES > PAGE_BYTES) throw new Error(`kernels: module ${file} has no region in the first page`);
  for (const build of BUILDS) {
    jobs.push({ out: `${build}/${file.replace(/\.ts$/, '.wasm')}`, build, entry: join(here, 'modules', file), base });
  }
}

const WORKERS = ['node_worker', 'browser_worker'];
for (const name of WORKERS) jobs.push({ out: `${name}.js`, entry: join(root, 'src', 'platform', `${name}.ts`) });

/** A source and all that it imports. */
function sourcesOf(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']*)'/g)) {
    sourcesOf(join(dirname(file), name.endsWith('.ts') ? name : `${name}.ts`), found);
  }
  return found;
}

function stampOf({ out, build, entry, base }) {
  const hash = createHash('sha256').update(`${out} ${build} ${base}\0`);
  for (const file of [fileURLToPath(import.meta.url), config, join(root, 'package-lock.json'), ...sourcesOf(entry)]) {
    hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

function readStamps() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return {}; // none yet, or half of one
  }
}

/** Throws when the constants of a module reach into the next one's region. */
function checkRegion({ out, base }, bytes) {
  // Node 20 has relaxed SIMD behind this flag; later ones complain about it.
  if (!WebAssembly.validate(bytes)) setFlagsFromString('--experimental-wasm-relaxed-simd');
  const memory = new WebAssembly.Memory({ initial: 1, maximum: PAGE_BYTES });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const end = exports.heapBase?.() ?? base;
  if (end > base + REGION_BYTES) {
    throw new Error(`kernels: the constants of ${out} end at ${end}, its region at ${base + REGION_BYTES}`);
  }
}

const before = process.argv.includes('--if-changed') ? readStamps() : {};
const stamps = Object.fromEntries(jobs.map((job) => [job.out, stampOf(job)]));
const changed = jobs.filter(({ out }) => stamps[out] !== before[out] || !existsSync(join(outDir, out)));

/** AssemblyScript to a kernel module. */
async function compileKernels(job, part) {
  const { main } = await import('assemblyscript/asc');
  const options = ['--config', config, '--target', job.build, '--memoryBase', `${job.base}`, '--outFile', part];
  const { error, stderr } = await main([job.entry, ...options], {});
  if (error) {
    process.stderr.write(`${stderr.toString()}\nkernels: ${job.out}: ${error.message}\n`);
    process.exit(1);
  }
  checkRegion(job, readFileSync(part));
}

/** A TypeScript entry and its imports to one file. */
async function bundleWorker({ entry }, part) {
  const { build } = await import('esbuild');
  const platform = entry.includes('node_worker') ? 'node' : 'browser';
  const settings = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'error', platform };
  await build({ ...settings, entryPoints: [entry], outfile: part });
}

if (changed.length > 0) {
  const started = Date.now();
  for (const build of BUILDS) mkdirSync(join(outDir, build), { recursive: true });
  rmSync(stampFile, { force: true });
  for (const job of changed) {
    const out = join(outDir, job.out);
    const part = `${out}.${process.pid}.part`; // two builds at a time do not meet
    await (job.build === undefined ? bundleWorker(job, part) : compileKernels(job, part));
    renameSync(part, out);
  }
  // What is left of modules that are no more would be shipped.
  for (const name of readdirSync(outDir, { recursive: true })) {
    if (/\.(wasm|js)$/.test(name) && stamps[name.replaceAll('\\', '/')] === undefined) rmSync(join(outDir, name));
  }
  writeFileSync(stampFile, JSON.stringify(stamps));
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stderr.write(`kernels: built ${changed.length} of ${jobs.length} files in ${seconds} s\n`);
}
