import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/fixtures.ts';

/** Every document of the project, by path from the root. */
export const DOCUMENT_PATHS: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `docs/${path.replaceAll('\\', '/')}`)
    .sort(),
];

export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export interface Fence {
  /** The words behind the opening marks: "ts run". */
  readonly info: string;
  readonly text: string;
  /** Of the opening marks, from 1. */
  readonly line: number;
}

/** The fenced blocks of a document, in order. Throws Error for one that is not closed. */
export function fencesOf(markdown: string): Fence[] {
  const fences: Fence[] = [];
  let open: { readonly info: string; readonly line: number; readonly body: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open === undefined) {
      if (line.startsWith('```')) open = { info: line.slice(3).trim(), line: index + 1, body: [] };
    } else if (line === '```') {
      fences.push({ info: open.info, line: open.line, text: `${open.body.join('\n')}\n` });
      open = undefined;
    } else open.body.push(line);
  }
  if (open !== undefined) throw new Error(`line ${open.line}: a fenced block is not closed`);
  return fences;
}

/** The document without its fenced blocks and comments: what a reader reads as prose. */
export function proseOf(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/<!--[\s\S]*?-->/g, '');
}
