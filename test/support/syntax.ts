import { parseSync } from 'oxc-parser';

/** A node of the ESTree that oxc-parser gives: what tests that read source text need of it. */
export interface SyntaxNode {
  readonly type: string;
  readonly [key: string]: unknown;
}

export type Visit = (node: SyntaxNode, parent: SyntaxNode | undefined, key: string | undefined) => void;

/** The program of a TypeScript or AssemblyScript file. Throws when it does not parse. */
export function parseProgram(path: string, text: string): SyntaxNode {
  const { program, errors } = parseSync(path, text, {
    lang: path.endsWith('.d.ts') ? 'dts' : 'ts',
    sourceType: 'module',
  });
  const error = errors[0];
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  return program as unknown as SyntaxNode;
}

/** Calls visit for every node, outer ones first. Comments are no nodes. */
export function walk(root: SyntaxNode, visit: Visit): void {
  const go = (value: unknown, parent: SyntaxNode | undefined, key: string | undefined): void => {
    if (Array.isArray(value)) {
      for (const item of value) go(item, parent, key);
    } else if (isSyntaxNode(value)) {
      visit(value, parent, key);
      for (const [childKey, child] of Object.entries(value)) go(child, value, childKey);
    }
  };
  go(root, undefined, undefined);
}

/** The text of a string literal, undefined for anything else. */
export function literalOf(node: unknown): string | undefined {
  return isSyntaxNode(node) && typeof node['value'] === 'string' ? node['value'] : undefined;
}

/** The name of an identifier, undefined for anything else. */
export function nameOf(node: unknown): string | undefined {
  return isSyntaxNode(node) && node.type === 'Identifier' && typeof node['name'] === 'string'
    ? node['name']
    : undefined;
}

function isSyntaxNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}
