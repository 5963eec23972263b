// Builds every kernel target of asconfig.json into dist/wasm. `--if-changed`: only when a source is newer than the builds.
// The stamp is a hash of the sources, so that a fresh clone, a branch switch and an edit are all seen.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..');
const outDir = join(root, 'dist', 'wasm');
const stampFile = join(outDir, 'stamp.txt');

function sources(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? sources(join(dir, e.name)) : [join(dir, e.name)]))
    .sort();
}

const hash = createHash('sha256');
for (const file of [...sources(here), join(root, 'asconfig.json'), join(root, 'package-lock.json')]) {
  hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
}
const stamp = hash.digest('hex');
// Source of each target's exports. The ladder is what benchmarks compare with, and no part of the package.
const entryOf = (target) => join(here, target === 'ladder' ? 'ladder/index.ts' : 'index.ts');
const targets = Object.keys(JSON.parse(readFileSync(join(root, 'asconfig.json'), 'utf8')).targets);

function upToDate() {
  try {
    return readFileSync(stampFile, 'utf8') === stamp && targets.every((t) => readdirSync(outDir).includes(`${t}.wasm`));
  } catch {
    return false;
  }
}

if (!process.argv.includes('--if-changed') || !upToDate()) {
  const { main } = await import('assemblyscript/asc');
  mkdirSync(outDir, { recursive: true });
  rmSync(stampFile, { force: true });
  for (const target of targets) {
    const started = Date.now();
    const part = join(outDir, `${target}.wasm.${process.pid}.part`); // two builds at a time do not meet
    const { error, stderr } = await main(
      [entryOf(target), '--config', join(root, 'asconfig.json'), '--target', target, '--outFile', part],
      {},
    );
    if (error) {
      process.stderr.write(`${stderr.toString()}\nkernels: ${target}: ${error.message}\n`);
      process.exit(1);
    }
    renameSync(part, join(outDir, `${target}.wasm`));
    process.stderr.write(`kernels: built ${target}.wasm in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
  }
  writeFileSync(stampFile, stamp);
}
