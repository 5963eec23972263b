import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/fixtures.ts';
import { nameOf, parseProgram, type SyntaxNode, walk } from './support/syntax.ts';

/** A search for a planted mistake that takes other cases each time may miss it one day: each has a seed. */

/** Calls of fc.check in a file whose options have no seed, neither there nor where a name in them is declared. */
function unseeded(path: string, text: string): number {
  const program = parseProgram(path, text);
  const named = new Map<string, SyntaxNode>(); // initial values
  const searches: SyntaxNode[] = [];
  walk(program, (node) => {
    if (node.type === 'VariableDeclarator') named.set(nameOf(node['id']) ?? '', node['init'] as SyntaxNode);
    if (node.type !== 'CallExpression') return;
    const { object, property } = node['callee'] as { object?: unknown; property?: unknown };
    if (nameOf(object) === 'fc' && nameOf(property) === 'check') searches.push(node);
  });
  const hasSeed = (options: SyntaxNode | undefined): boolean => {
    let has = false;
    if (options === undefined) return has;
    walk(options, (node, parent, key) => {
      const name = nameOf(node);
      if (name === undefined) return;
      if (parent?.type === 'Property' && key === 'key') has ||= name === 'seed';
      else has ||= named.has(name) ? hasSeed(named.get(name)) : SEEDED.includes(name);
    });
    return has;
  };
  return searches.filter((search) => !hasSeed((search['arguments'] as SyntaxNode[])[1])).length;
}

/** Options with a seed that files import. */
const SEEDED = ['SEARCH', 'RUNS'];

test('every search for a mutant has a seed', () => {
  const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.includes('node_modules'))
    .map((file) => [file, readFileSync(join(ROOT, 'test', file), 'utf8')] as const);
  expect(
    files.flatMap(([file, text]) => (text.includes('fc.check(') && unseeded(file, text) > 0 ? [file] : [])),
  ).toEqual([]);
  expect(files.filter(([, text]) => text.includes('fc.check(')).length).toBeGreaterThan(50);
});

test.each([
  ['fc.check(p)', 1],
  ['fc.check(p, { numRuns: 9 })', 1],
  ['const MORE = { numRuns: 9 }; fc.check(p, { ...MORE }); fc.check(p, MORE)', 2],
  ['const MORE = { numRuns: 9, seed: 1 }; fc.check(p, { ...MORE }); fc.check(p, MORE); fc.check(p, { seed: 2 })', 0],
  ['fc.check(p, SEARCH)', 0],
  ['const RUNS = { numRuns: 9 }; fc.check(p, RUNS)', 1],
])('%s', (text, n) => {
  expect(unseeded('planted.ts', text)).toBe(n);
});
