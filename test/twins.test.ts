import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/fixtures.ts';
import { literalOf, nameOf, parseProgram, walk } from './support/syntax.ts';

/**
 * One name, three places: kernels/<op>_<dtype>[_<variant>].ts has its definition in src/ops/<op>.ts and its property test in
 * test/kernels/<the kernel's name>.test.ts, which also plants a mutant.
 */

/** Not a kernel: the one file of shared lines. Folders (ladder/, and modules/ with the lists of exports) are not looked into. */
const EXEMPT: readonly string[] = ['lanes'];

/**
 * Kernels whose definition is no op: they move or convert numbers on the way to one. Kernel name, or its part before the
 * format -> file of the definition.
 */
const TWINS_ELSEWHERE: Readonly<Record<string, string>> = {
  // Activations enter a quantized linear as int8 blocks.
  quantize_rows: 'src/quant/activations.ts',
  // Rows enter the cache in its own order.
  kv_write_k: 'src/kvcache/layout.ts',
  kv_write_v: 'src/kvcache/layout.ts',
  // Or are turned on their way there.
  rope_write_k: 'src/ops/rope.ts',
  // Rows of the cache that are rounded to codes, and read back.
  kv_pack: 'src/kvcache/coded_rows.ts',
  kv_unpack: 'src/kvcache/coded_rows.ts',
  // Rows of weights become the order in which a linear kernel reads them; they give back the same weights.
  repack: 'src/quant/formats.ts',
};

const KERNEL_NAME =
  /^(?<op>[a-z]+(?:_[a-z]+)*)_(?<dtype>f32|f16|bf16|q[2-6]_k|q8_0|q[45]_[01]|iq4_nl|iq4_xs|mxfp4|q8)(?:_[a-z0-9_]+)?$/;

type Read = (path: string) => string | undefined;

/** What a kernel lacks: [] when it has twin, test and mutant. */
function missing(name: string, read: Read): string[] {
  const op = KERNEL_NAME.exec(name)?.groups?.['op'];
  if (op === undefined) return [`kernels/${name}.ts is not named <op>_<dtype>[_<variant>]`];
  const found: string[] = [];

  const twin = TWINS_ELSEWHERE[name] ?? TWINS_ELSEWHERE[op] ?? `src/ops/${op}.ts`;
  if (read(twin) === undefined) found.push(`kernels/${name}.ts has no twin ${twin}`);

  const testPath = `test/kernels/${name}.test.ts`;
  const testText = read(testPath);
  if (testText === undefined) return [...found, `kernels/${name}.ts has no test ${testPath}`];
  const words = wordsOf(testPath, testText);
  if (!words.some((word) => /mutant/i.test(word))) found.push(`${testPath} plants no mutant`);
  const kernels = exportsOf(`kernels/${name}.ts`, read(`kernels/${name}.ts`) ?? '');
  if (!kernels.some((kernel) => words.includes(kernel)))
    found.push(`${testPath} does not call ${kernels.join(' or ')}`);
  return found;
}

/** Every identifier and string of a file; comments do not count. */
function wordsOf(path: string, text: string): string[] {
  const words: string[] = [];
  walk(parseProgram(path, text), (node) => {
    const word = nameOf(node) ?? literalOf(node);
    if (word !== undefined) words.push(word);
  });
  return words;
}

/** Names of the exported functions. */
function exportsOf(path: string, text: string): string[] {
  const names: string[] = [];
  walk(parseProgram(path, text), (node, parent) => {
    const name = node.type === 'FunctionDeclaration' ? nameOf(node['id']) : undefined;
    if (name !== undefined && parent?.type === 'ExportNamedDeclaration') names.push(name);
  });
  return names;
}

const readProject: Read = (path) => (existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : undefined);

const kernels = readdirSync(join(ROOT, 'kernels'), { withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => entry.name.slice(0, -'.ts'.length))
  .filter((name) => !EXEMPT.includes(name));

test('the kernels were found', () => expect(kernels.length).toBeGreaterThan(0));

test('every line of the table of other twins is needed', () => {
  for (const key of Object.keys(TWINS_ELSEWHERE)) {
    expect(
      kernels.some((name) => name === key || KERNEL_NAME.exec(name)?.groups?.['op'] === key),
      key,
    ).toBe(true);
  }
});

test('every kernel is exported by one module', () => {
  const folder = join(ROOT, 'kernels/modules');
  const exported = readdirSync(folder).flatMap((file) =>
    Array.from(
      readFileSync(join(folder, file), 'utf8').matchAll(/^export .* from '\.\.\/(.*)';$/gm),
      ([, name]) => name,
    ),
  );
  expect(exported.sort()).toEqual([...kernels].sort());
});

test.each(kernels)('%s has a twin, a test and a mutant', (name) => expect(missing(name, readProject)).toEqual([]));

const WHOLE: Readonly<Record<string, string>> = {
  'kernels/axpy_f32.ts': 'export function axpyF32(): void {}',
  'src/ops/axpy.ts': 'export function axpy() {}',
  'test/kernels/axpy_f32.test.ts': `test('a mutant is caught', () => property(k.axpyF32, mutants.noTail));`,
};

test.each([
  ['nothing', {}, []],
  ['the twin', { 'src/ops/axpy.ts': undefined }, ['has no twin']],
  ['the test', { 'test/kernels/axpy_f32.test.ts': undefined }, ['has no test']],
  ['the mutant', { 'test/kernels/axpy_f32.test.ts': 'k.axpyF32(); // no mutant yet' }, ['plants no mutant']],
  ['the kernel in its test', { 'test/kernels/axpy_f32.test.ts': 'mutants.noTail();' }, ['does not call axpyF32']],
])('a kernel that lacks %s', (_what, change, messages) => {
  const files: Record<string, string | undefined> = { ...WHOLE, ...change };
  const found = missing('axpy_f32', (path) => files[path]);
  expect(found).toEqual(messages.map((message) => expect.stringContaining(message)));
});

test('a name that states no format is refused', () => {
  expect(missing('axpy', () => undefined)).toEqual(['kernels/axpy.ts is not named <op>_<dtype>[_<variant>]']);
});
