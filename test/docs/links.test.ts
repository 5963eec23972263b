import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/fixtures.ts';
import { DOCUMENT_PATHS, proseOf, readDocument } from './markdown.ts';

/** Links between documents and files lead somewhere, and paths in code spans are files. */

/** Links of one document that lead nowhere. Addresses of the web are not looked at. */
function deadLinks(path: string, markdown: string): string[] {
  const targets = [...proseOf(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file, anchor] = target.split('#');
    const full = file === '' ? path : normalize(join(dirname(path), file!));
    if (file !== '' && !existsSync(join(ROOT, full))) return true;
    return anchor !== undefined && !anchorsOf(file === '' ? markdown : readDocument(full)).includes(anchor);
  });
}

/** The names that a rendered document gives its headings. */
function anchorsOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Code spans that name a source file or folder of the project and are none. */
function deadPaths(markdown: string): string[] {
  const spans = [...proseOf(markdown).matchAll(/`((?:src|kernels|test|docs)\/[\w./-]*)`/g)].map((match) => match[1]!);
  return spans.filter((path) => !existsSync(join(ROOT, path)));
}

test.each(DOCUMENT_PATHS)('%s: links and paths', (path) => {
  const markdown = readDocument(path);
  expect({ links: deadLinks(path, markdown), paths: deadPaths(markdown) }).toEqual({ links: [], paths: [] });
});

test('dead links and paths are caught', () => {
  const markdown =
    '# One\n[a](no.md) [b](../README.md) [c](#one) [d](#two) [e](https://x.y) [f](tour.md#no) `src/no.ts` `src/ops`';
  expect(deadLinks('docs/x.md', markdown)).toEqual(['no.md', '#two', 'tour.md#no']);
  expect(deadPaths(markdown)).toEqual(['src/no.ts']);
});

test('every document but the README can be reached from it', () => {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    if (statSync(join(ROOT, path)).isDirectory()) {
      for (const other of DOCUMENT_PATHS) if (dirname(other) === path) visit(other);
      return;
    }
    if (!path.endsWith('.md')) return;
    for (const [, target] of proseOf(readDocument(path)).matchAll(/\]\(([^)\s#:]+)[^)]*\)/g)) {
      const next = normalize(join(dirname(path), target!));
      if (existsSync(join(ROOT, next))) visit(next);
    }
  };
  visit('README.md');
  expect(DOCUMENT_PATHS.filter((path) => !seen.has(path))).toEqual([]);
});
