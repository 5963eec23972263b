import { ConfigError } from '../core/errors.ts';
import type { ManyRequest } from '../engine/generate_many.ts';
import type { Prompt } from '../engine/prompt.ts';
import { checkPriority, checkSamples } from '../engine/schedule.ts';
import { DEFAULT_SAMPLING, validateSampling } from '../sample/options.ts';
import { usageError } from './usage.ts';

/** One line of a file of prompts: what it asks for, and its number, from 1. */
export interface RequestLine {
  readonly line: number;
  readonly prompt: Prompt;
  /** Options that the line has itself. */
  readonly options: Partial<Omit<ManyRequest, 'prompt'>>;
}

/** A prompt of a million ids is shorter; a longer line is no prompt, and would take minutes to cut into tokens. */
const MAX_LINE_CHARACTERS = 2 ** 23;

/** The options of a line, and what each must be. Their ranges are the engine's. */
const OPTIONS = {
  maxTokens: 'number',
  temperature: 'number',
  topK: 'number',
  topP: 'number',
  minP: 'number',
  typicalP: 'number',
  repeatPenalty: 'number',
  repeatLastN: 'number',
  frequencyPenalty: 'number',
  presencePenalty: 'number',
  seed: 'number',
  priority: 'number',
  n: 'number',
  stop: 'list of texts',
} as const;
const PROMPTS = ['prompt', 'messages', 'ids'] as const;

/**
 * Reads a file of prompts, one JSON object a line: {"prompt": "..."}, or "messages" or "ids", and options of its own. Empty lines are skipped;
 * lines end in LF or CRLF, the last one may have no end.
 * Throws a usage error that names the file, the line's number and what is wrong, before anything is run.
 */
export function parseRequestLines(text: string, name: string): RequestLine[] {
  const requests: RequestLine[] = [];
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [i, line] of lines.entries()) {
    try {
      if (line.length > MAX_LINE_CHARACTERS) {
        throw new ConfigError(
          `has ${line.length} characters, at most ${MAX_LINE_CHARACTERS}; split it, one object a line`,
        );
      }
      if (line.trim() !== '') requests.push({ line: i + 1, ...parseLine(line) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw usageError(`${name}: line ${i + 1}: ${error.message}`);
    }
  }
  return requests;
}

function parseLine(line: string): Omit<RequestLine, 'line'> {
  const fields = parseObject(line);
  const unknown = Object.keys(fields).find((key) => !(key in OPTIONS) && !PROMPTS.includes(key as never));
  if (unknown !== undefined) {
    throw new ConfigError(
      `has ${JSON.stringify(unknown)}; known are ${[...PROMPTS, ...Object.keys(OPTIONS)].join(', ')}`,
    );
  }
  const options: Record<string, unknown> = {};
  for (const [key, kind] of Object.entries(OPTIONS)) {
    const value = fields[key];
    if (value === undefined) continue;
    const isTexts = Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
    if (kind === 'number' ? typeof value !== 'number' : !isTexts) {
      throw new ConfigError(`${key} is ${JSON.stringify(value)}, must be a ${kind}`);
    }
    options[key] = value;
  }
  validateSampling({ ...DEFAULT_SAMPLING, ...options });
  checkPriority((options['priority'] as number | undefined) ?? 0);
  checkSamples((options['n'] as number | undefined) ?? 1);
  const { maxTokens = 1 } = options;
  if (!Number.isSafeInteger(maxTokens) || (maxTokens as number) < 1) {
    throw new ConfigError(`maxTokens is ${String(maxTokens)}, must be an integer from 1`);
  }
  return { prompt: promptOf(fields), options };
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new ConfigError(`is not JSON (${(error as Error).message}); give one object a line, {"prompt": "..."}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`is no object; give {"prompt": "..."}`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function promptOf(fields: Readonly<Record<string, unknown>>): Prompt {
  const given = PROMPTS.filter((key) => fields[key] !== undefined);
  if (given.length !== 1) {
    throw new ConfigError(`has ${given.join(' and ') || 'no prompt'}; give one of ${PROMPTS.join(', ')}`);
  }
  const { prompt, messages, ids } = fields;
  if (prompt !== undefined) {
    if (typeof prompt !== 'string') throw new ConfigError(`prompt is ${JSON.stringify(prompt)}, must be a text`);
    return prompt;
  }
  if (ids !== undefined) {
    if (!Array.isArray(ids) || ids.length === 0 || !ids.every((id) => Number.isSafeInteger(id) && id >= 0)) {
      throw new ConfigError('ids must be a list of token ids, at least one');
    }
    return { ids };
  }
  const isMessage = (m: unknown): boolean => typeof m === 'object' && m !== null && 'role' in m && 'content' in m;
  if (!Array.isArray(messages) || !messages.every(isMessage)) {
    throw new ConfigError('messages must be a list of {"role": ..., "content": ...}');
  }
  return { messages };
}
