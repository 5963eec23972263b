import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { CapacityError, ConfigError } from '../core/errors.ts';
import { type ByteSource, bufferSource } from '../core/host.ts';
import type { FormOptions } from '../engine/forms.ts';
import { type JsonObject, readJson } from '../load/json_file.ts';
import { systemError } from '../platform/node_file.ts';
import { parseGbnf } from '../sample/grammar/gbnf.ts';
import { grammarStates } from '../sample/grammar/states.ts';
import { schemaGrammar } from '../sample/schema/schema.ts';
import type { Generated } from './collect_pieces.ts';
import { usageError } from './usage.ts';

/** Files that say which form the text must have. */
export interface FormFlags {
  readonly grammar?: string;
  readonly schema?: string;
}

export function addFormOptions(command: Command): Command {
  return command
    .option('--schema <file>', 'only JSON that this JSON Schema allows')
    .option('--grammar <file>', 'only text that this GBNF grammar allows');
}

/**
 * Reads the form and checks it, before a model is opened. Throws a usage error when two are given, ConfigError for a file that
 * cannot be read, and what its parser throws.
 */
export async function readForm({ grammar, schema }: FormFlags): Promise<FormOptions> {
  if (grammar !== undefined && schema !== undefined) {
    throw usageError('--schema and --grammar are both given; a text has one form, leave one out');
  }
  if (schema !== undefined) {
    const value = await readSchema(bufferSource(schema, await read('--schema', schema)));
    grammarStates(schemaGrammar(value));
    return { schema: value };
  }
  if (grammar === undefined) return {};
  const bytes = await read('--grammar', grammar);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(`--grammar ${grammar}: is not UTF-8 text; convert it first`);
  }
  grammarStates(parseGbnf(text));
  return { grammar: text };
}

/** `true` and `false` are schemas too. */
async function readSchema(source: ByteSource): Promise<JsonObject | boolean> {
  const value = await readJson(source);
  if (typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value))) {
    return value as JsonObject | boolean;
  }
  const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
  throw new ConfigError(`${source.name}: holds ${found}, a schema is an object, true or false`);
}

async function read(flag: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (e) {
    throw systemError(`${flag} ${path}`, e);
  }
}

/** Throws, so that the exit code is 1, when a text ended before it had the form that was asked for. */
export function refuseIncomplete({ finishReason, isComplete }: Generated, maxTokens: number, maxSeq: number): void {
  if (isComplete !== false) return;
  const start = 'the output is not complete:';
  switch (finishReason) {
    case 'length':
      throw new CapacityError(`${start} it ended at max-tokens=${maxTokens}; raise --max-tokens`);
    case 'context':
      throw new CapacityError(
        `${start} the context is full at max-seq=${maxSeq}; raise --max-seq or shorten the prompt`,
      );
    case 'stop':
      throw new ConfigError(
        `${start} a stop string came first; leave out --stop, or give one that no text of this form has`,
      );
    case 'eos':
    case 'grammar':
    case 'interrupted':
      return;
    default:
      finishReason satisfies never;
  }
}
