import { ConfigError } from '../core/errors.ts';
import type { LineReader } from './io.ts';

export type ChatInput =
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'command'; readonly name: string; readonly argument: string };

const QUOTES = '"""';

/**
 * The next thing that was typed: null at the end of the input.
 *
 * A message is a line. It has more of them when it begins with """, up to the next """ at the end of a line, and when a line ends with
 * a backslash (two of them are a backslash). A line that begins with a slash is a command, and with two a message that begins with one.
 * Throws ConfigError when the input ends within """.
 */
export async function nextInput(lines: LineReader): Promise<ChatInput | null> {
  const first = await lines.next('> ');
  if (first === null) return null;
  if (first.trimStart().startsWith(QUOTES)) return quoted(lines, first.trimStart().slice(QUOTES.length));
  const command = /^\/(?!\/)(\S*)\s*(.*)$/s.exec(first);
  if (command !== null) return { kind: 'command', name: command[1]!, argument: command[2]!.trim() };
  let text = first.replace(/^\/\//, '/');
  while (continues(text)) {
    const next = await lines.next('... ');
    text = `${text.slice(0, -1)}\n${next ?? ''}`;
    if (next === null) break;
  }
  return { kind: 'message', text: text.endsWith('\\\\') ? text.slice(0, -1) : text };
}

function continues(text: string): boolean {
  return text.endsWith('\\') && !text.endsWith('\\\\');
}

async function quoted(lines: LineReader, rest: string): Promise<ChatInput> {
  const parts: string[] = [];
  for (let line = rest; ; ) {
    const end = line.trimEnd();
    if (end.endsWith(QUOTES)) {
      parts.push(end.slice(0, -QUOTES.length));
      break;
    }
    parts.push(line);
    const next = await lines.next('... ');
    if (next === null)
      throw new ConfigError(`a message begins with ${QUOTES} and the input ends within it; end it with ${QUOTES}`);
    line = next;
  }
  // The quotes may stand on lines of their own.
  if (parts.length > 1 && parts[0] === '') parts.shift();
  if (parts.length > 1 && parts.at(-1) === '') parts.pop();
  return { kind: 'message', text: parts.join('\n') };
}
