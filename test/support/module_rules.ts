import { posix } from 'node:path';
import { literalOf, nameOf, parseProgram, type SyntaxNode, walk } from './syntax.ts';

/**
 * The architecture's rules about files and imports, as functions from a set of files to a list of violations. They read
 * text, not the disk, so a test can hand them a planted violation.
 */

/** Path from the project's root, with forward slashes -> source text. */
export type Sources = ReadonlyMap<string, string>;

/** What a rule reads about one file. */
export interface ModuleFile {
  readonly path: string;
  readonly nLines: number;
  /** Specifiers of every form of import: static, re-export, dynamic, `import('x').T`, `import x = require('x')`. */
  readonly imports: readonly string[];
  readonly hasDefaultExport: boolean;
  /** Names in HOST_GLOBALS that the file reads from the host. */
  readonly hostGlobals: readonly string[];
}

export type Rule = (files: readonly ModuleFile[]) => string[];

/** Folder of src/ -> floor. Files directly in src/ are the public API; cli/ and server/ are built on it. */
const FLOORS: Readonly<Record<string, number>> = {
  core: 0,
  quant: 1,
  ops: 2,
  graph: 3,
  kvcache: 3,
  load: 4,
  text: 4,
  vision: 4,
  sample: 4,
  exec: 5,
  models: 6,
  engine: 7,
  platform: 8,
  '': 9,
  cli: 10,
  server: 10,
};

/** Folders that may touch the host. */
const HOST_FOLDERS: readonly string[] = ['platform', 'cli', 'server'];
const HOST_GLOBALS: readonly string[] = ['fetch', 'process', 'navigator'];

/** The only files called index.ts: the doors, and the ordered list of passes. */
const INDEX_FILES: readonly string[] = ['src/index.ts', 'src/graph/passes/index.ts'];

const MAX_LINES = 500;

/** Parses every file. Throws when one is not TypeScript. */
export function parseModules(sources: Sources): ModuleFile[] {
  return [...sources].map(([path, text]) => {
    const imports: string[] = [];
    const hostGlobals = new Set<string>();
    let hasDefaultExport = false;
    walk(parseProgram(path, text), (node, parent, key) => {
      const specifier = specifierOf(node);
      if (specifier !== undefined) imports.push(specifier);
      if (node.type === 'ExportDefaultDeclaration' || node.type === 'TSExportAssignment') hasDefaultExport = true;
      if (node.type === 'ExportSpecifier' && nameOf(node['exported']) === 'default') hasDefaultExport = true;
      const name = nameOf(node);
      if (name !== undefined && HOST_GLOBALS.includes(name) && readsHost(node, parent, key)) hostGlobals.add(name);
    });
    const nLines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    return { path, nLines, imports, hasDefaultExport, hostGlobals: [...hostGlobals] };
  });
}

/** Every folder of src/ has a floor. */
export const knownFolders: Rule = (files) =>
  files
    .filter((f) => folderOf(f.path) !== undefined && FLOORS[folderOf(f.path)!] === undefined)
    .map((f) => `${f.path}: folder ${folderOf(f.path)} has no floor`);

export const noUpwardImport: Rule = (files) =>
  edges(files).flatMap(({ from, to }) => {
    const [a, b] = [floorOf(from), floorOf(to)];
    return a !== undefined && b !== undefined && b > a ? [`${from} (floor ${a}) imports ${to} (floor ${b})`] : [];
  });

export const noSidewaysImport: Rule = (files) =>
  edges(files).flatMap(({ from, to }) =>
    floorOf(from) !== undefined && floorOf(from) === floorOf(to) && folderOf(from) !== folderOf(to)
      ? [`${from} imports ${to}, of the same floor`]
      : [],
  );

/** One violation for each import that closes a circle, type-only imports included. */
export const noCycle: Rule = (files) => {
  const next = new Map<string, string[]>(files.map((f) => [f.path, []]));
  for (const { from, to } of edges(files)) next.get(from)!.push(to);
  const found: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const to of next.get(path) ?? []) visit(to);
    trail.pop();
    done.add(path);
  };
  for (const f of files) visit(f.path);
  return found;
};

export const hostOnlyAtTheDoors: Rule = (files) =>
  files
    .filter((f) => folderOf(f.path) !== undefined && !HOST_FOLDERS.includes(folderOf(f.path)!))
    .flatMap((f) => [
      ...f.imports.filter((i) => i.startsWith('node:')).map((i) => `${f.path} imports ${i}`),
      ...f.hostGlobals.map((g) => `${f.path} reads the host's ${g}`),
    ]);

/** Anything that is not a file of ours is a listed dependency, or `node:`. (`import 'fs'` is neither.) */
export function onlyListedPackages(packages: readonly string[]): Rule {
  return (files) =>
    files.flatMap((f) =>
      f.imports
        .filter((i) => !i.startsWith('.') && !i.startsWith('node:') && f.path.startsWith('src/'))
        .filter((i) => !packages.some((name) => i === name || i.startsWith(`${name}/`)))
        .map((i) => `${f.path} imports ${i}, which is no dependency`),
    );
}

/** A relative import names a file that is there, by its full name. */
export const importsResolve: Rule = (files) => {
  const known = new Set(files.map((f) => f.path));
  return files.flatMap((f) =>
    f.imports
      .filter((i) => i.startsWith('.') && !known.has(resolve(f.path, i)))
      .map((i) => `${f.path} imports ${i}, which is not there`),
  );
};

export const kernelsStandAlone: Rule = (files) =>
  files.flatMap((f) =>
    f.imports
      .filter((i) => i.startsWith('.'))
      .map((i) => resolve(f.path, i))
      .filter((to) => isKernel(f.path) !== isKernel(to))
      .map((to) => `${f.path} imports ${to}`),
  );

export const namedExportsOnly: Rule = (files) =>
  files.filter((f) => f.hasDefaultExport).map((f) => `${f.path} has a default export`);

export const noCatchAllFile: Rule = (files) =>
  files.flatMap((f) => {
    const name = posix.basename(f.path);
    if (/^utils?\.ts$/.test(name)) return [`${f.path}: name a file after what it does`];
    if (name === 'index.ts' && f.path.startsWith('src/') && !INDEX_FILES.includes(f.path)) {
      return [`${f.path}: index.ts belongs to the doors only`];
    }
    return [];
  });

export const shortFiles: Rule = (files) =>
  files.filter((f) => f.nLines > MAX_LINES).map((f) => `${f.path} has ${f.nLines} lines, more than ${MAX_LINES}`);

/** "exec" for src/exec/wasm/arena.ts, "" for src/index.ts, undefined outside src/. */
function folderOf(path: string): string | undefined {
  const parts = path.split('/');
  if (parts[0] !== 'src') return undefined;
  return parts.length === 2 ? '' : parts[1]!;
}

function floorOf(path: string): number | undefined {
  const folder = folderOf(path);
  return folder === undefined ? undefined : FLOORS[folder];
}

function isKernel(path: string): boolean {
  return path.startsWith('kernels/');
}

/** AssemblyScript leaves the extension out. */
function resolve(from: string, specifier: string): string {
  const path = posix.join(posix.dirname(from), specifier);
  return isKernel(from) && posix.extname(path) === '' ? `${path}.ts` : path;
}

/** Imports between files of the set. */
function edges(files: readonly ModuleFile[]): { from: string; to: string }[] {
  const known = new Set(files.map((f) => f.path));
  return files.flatMap((f) =>
    f.imports
      .filter((i) => i.startsWith('.'))
      .map((i) => ({ from: f.path, to: resolve(f.path, i) }))
      .filter(({ to }) => known.has(to)),
  );
}

function specifierOf(node: SyntaxNode): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return literalOf(node['source']);
    case 'TSExternalModuleReference':
      return literalOf(node['expression']);
    default:
      return undefined;
  }
}

/** False for the names of members and properties: `host.fetch`, `{ fetch: f }`, `interface H { fetch(): void }`. */
function readsHost(node: SyntaxNode, parent: SyntaxNode | undefined, key: string | undefined): boolean {
  if (parent === undefined) return true;
  const isMember = parent.type === 'MemberExpression' && key === 'property' && parent['computed'] !== true;
  if (isMember) return nameOf(parent['object']) === 'globalThis';
  const isKey = key === 'key' && parent['computed'] !== true && parent['value'] !== node;
  return !isKey || parent['shorthand'] === true;
}
