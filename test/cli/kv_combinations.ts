import { readFileSync } from 'node:fs';

/** The table "What goes with what" of docs/kvcache.md, cell by cell. */
export interface Combination {
  /** As they are written on a command line, the form first. */
  readonly flags: readonly string[];
  /** The form that runs, null where the flags are refused. */
  readonly kind: string | null;
}

export function combinations(): Combination[] {
  const text = readFileSync(new URL('../../docs/kvcache.md', import.meta.url), 'utf8');
  const [, section = ''] = /## What goes with what\n(.*?)\n## /s.exec(text) ?? [];
  const [head, , ...rows] = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const forms = head!.slice(1);
  return rows.flatMap(([what, ...cells]) =>
    cells.map((cell, i): Combination => {
      const form = forms[i]!.startsWith('no ') ? [] : ['--kv', forms[i]!];
      const flags = what!.startsWith('`') ? what!.slice(1, -1).split(' ') : [];
      return { flags: [...form, ...flags], kind: cell === 'no' ? null : cell };
    }),
  );
}
