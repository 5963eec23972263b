import type { Io, Output } from './io.ts';

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
}

const RESET = '\x1b[0m';

/** Colours for an output: on a terminal only, and not where NO_COLOR is set (https://no-color.org) or TERM is "dumb". */
export function styleOf(output: Output, env: Io['env']): Style {
  const hasColours = output.isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const wrap = (code: number) => (text: string) => (hasColours ? `\x1b[${code}m${text}${RESET}` : text);
  return { bold: wrap(1), dim: wrap(2), red: wrap(31) };
}
