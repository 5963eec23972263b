import { readFileSync } from 'node:fs';
import { ROOT } from './root.ts';

/**
 * Lines of a real source file for a document, so that the two cannot drift. A region's name says which:
 *
 *   source src/ops/softmax.ts softmax                      the function of that name, without its comment
 *   source src/engine/generate.ts "let logits" to "}"      from the line that has the first text to the next that has the second
 *   source src/ops/softmax.ts softmax "const max" to "}"   the same within one function
 *   comment src/kvcache/layout.ts "K of one" to "..."      the same lines of a comment, as plain text
 *
 * Throws Error when the function or a text is not there, or the first text is there twice: the document must be looked at.
 */
export function quoteSource(name: string): string | undefined {
  const [, kind, path, what] = /^(source|comment) (\S+) (.+)$/.exec(name) ?? [];
  if (kind === undefined || path === undefined || what === undefined) return undefined;
  const lines = readFileSync(new URL(path, ROOT), 'utf8').split('\n');
  const [, within, first, last] = /^(?:(\w+) )?"(.+)" to "(.+)"$/.exec(what) ?? [];
  const scope = first === undefined ? what : within;
  const [start, end] = scope === undefined ? [0, lines.length] : functionLines(path, lines, scope);
  const [from, until] = first === undefined ? [start, end] : between(path, lines, start, end, first, last!);
  const quoted = outdent(lines.slice(from, until));
  if (kind === 'comment') return fence('text', outdent(quoted.map((line) => line.replace(/^ ?(\*|\/\/) ?/, ''))));
  return fence('ts', [`// ${path}`, ...quoted]);
}

/** A fenced block. */
export function fence(language: string, lines: readonly string[]): string {
  return `\`\`\`${language}\n${lines.join('\n')}\n\`\`\``;
}

/** [first line, line after the last]. Formatted sources close a top-level function with a brace in column 0. */
function functionLines(path: string, lines: readonly string[], name: string): [number, number] {
  const start = lines.findIndex((line) => new RegExp(`^(export )?(async )?function\\*? ${name}\\b`).test(line));
  if (start < 0) throw new Error(`${path}: has no function ${name}`);
  const end = lines.indexOf('}', start);
  if (end < 0) throw new Error(`${path}: function ${name} does not end`);
  return [start, end + 1];
}

/** The same, from the line with `first` to the next one with `last`, both within lines start .. end - 1. */
function between(
  path: string,
  lines: readonly string[],
  start: number,
  end: number,
  first: string,
  last: string,
): [number, number] {
  const found = lines.flatMap((line, i) => (i >= start && i < end && line.includes(first) ? [i] : []));
  const from = found[0];
  if (from === undefined) throw new Error(`${path}: no line has "${first}"`);
  if (found.length > 1) throw new Error(`${path}: ${found.length} lines have "${first}"`);
  const until = lines.findIndex((line, i) => i > from && i < end && line.includes(last));
  if (until < 0) throw new Error(`${path}: no line after "${first}" has "${last}"`);
  return [from, until + 1];
}

/** Takes away the indentation that all lines share. */
function outdent(lines: readonly string[]): string[] {
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length);
  const shared = Math.min(...indents);
  return lines.map((line) => line.slice(shared));
}
