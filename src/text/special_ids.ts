import { ConfigError } from '../core/errors.ts';
import type { NamedIds } from './subword_model.ts';
import { type Json, needId, needObject, needText, optionalArray } from './tokenizer_json.ts';

/** What a caller knows better than the tokenizer's own files, e.g. from generation_config.json. */
export interface SpecialOverrides {
  readonly bosId?: number | undefined;
  /** Added to those that the files name. */
  readonly eosIds?: readonly number[] | undefined;
  readonly addBos?: boolean | undefined;
  readonly addEos?: boolean | undefined;
}

export interface SpecialIds {
  readonly bosId: number | null;
  readonly eosIds: ReadonlySet<number>;
  /** What `encode` puts before and after a text. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

/**
 * Start and end tokens, from three places; the first that says something wins.
 * - Which token: `special`, then tokenizer_config (bos_token, else cls_token; eos_token, else sep_token; and extra_eos_tokens,
 *   which gguf_vocab.ts writes), then, for the start, what the post-processor writes first.
 * - Whether it is added: `special`, then add_bos_token / add_eos_token, then the post-processor's template.
 *
 * Throws ConfigError when a named token is not in the vocabulary, or one is to be added and none is named.
 */
export function readSpecialIds(
  postProcessor: Json | null,
  config: Json,
  special: SpecialOverrides,
  named: NamedIds,
): SpecialIds {
  const template = readTemplate(postProcessor, named);
  const fromConfig = (...fields: string[]) => {
    for (const field of fields) {
      const text = tokenText(config[field]);
      if (text !== null) return lookUp(named, text, field);
    }
    return null;
  };
  const bosId = special.bosId ?? fromConfig('bos_token', 'cls_token') ?? template.prefix[0] ?? null;
  const eosId = fromConfig('eos_token', 'sep_token');
  const eosIds = new Set<number>();
  if (eosId !== null) eosIds.add(eosId);
  for (const text of optionalArray(config['extra_eos_tokens'], 'extra_eos_tokens')) {
    eosIds.add(lookUp(named, needText(text, 'extra_eos_tokens[]'), 'extra_eos_tokens'));
  }
  for (const id of special.eosIds ?? []) eosIds.add(id);

  const choose = (flag: boolean | undefined, field: string, asTemplate: readonly number[], id: number | null) => {
    const add = flag ?? (typeof config[field] === 'boolean' ? config[field] : undefined);
    if (add === undefined) return asTemplate;
    if (!add) return [];
    if (asTemplate.length > 0) return asTemplate;
    if (id !== null) return [id];
    throw new ConfigError(`tokenizer: ${field} is true and no such token is named; name it or turn ${field} off`);
  };
  return {
    bosId,
    eosIds,
    prefix: choose(special.addBos, 'add_bos_token', template.prefix, bosId),
    suffix: choose(special.addEos, 'add_eos_token', template.suffix, eosId),
  };
}

/** "</s>", or {"content": "</s>", ...} in older files; null for null and for a missing field. */
function tokenText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : needText(needObject(value, 'special token')['content'], 'special token');
}

function lookUp(named: NamedIds, text: string, field: string): number {
  const id = named.get(text);
  if (id !== undefined) return id;
  throw new ConfigError(
    `tokenizer: ${field} is ${JSON.stringify(text)}, which the vocabulary does not have; fetch both tokenizer files again`,
  );
}

interface Template {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

/** What a post-processor writes around a single text. Throws ConfigError for one that is not known here. */
function readTemplate(json: Json | null, named: NamedIds): Template {
  if (json === null) return { prefix: [], suffix: [] };
  const type = needText(json['type'], 'post_processor.type');
  switch (type) {
    case 'ByteLevel':
      return { prefix: [], suffix: [] };
    case 'Sequence': {
      const all = optionalArray(json['processors'], 'post_processor.processors').map((step) =>
        readTemplate(needObject(step, 'post_processor.processors[]'), named),
      );
      // Each step wraps the result of the one before it.
      return all.reduce(
        (inner, outer) => ({
          prefix: [...outer.prefix, ...inner.prefix],
          suffix: [...inner.suffix, ...outer.suffix],
        }),
        { prefix: [], suffix: [] },
      );
    }
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const idOf = (field: string) => needId(optionalArray(json[field], field)[1], `post_processor.${field}[1]`);
      return { prefix: [idOf('cls')], suffix: [idOf('sep')] };
    }
    case 'TemplateProcessing':
      return readTemplateProcessing(json, named);
    default:
      throw new ConfigError(`tokenizer: post_processor.type is "${type}", which glassformer does not know`);
  }
}

function readTemplateProcessing(json: Json, named: NamedIds): Template {
  const specials = json['special_tokens'] === undefined ? {} : needObject(json['special_tokens'], 'special_tokens');
  const prefix: number[] = [];
  const suffix: number[] = [];
  let side = prefix;
  for (const entry of optionalArray(json['single'], 'post_processor.single')) {
    const item = needObject(entry, 'post_processor.single[]');
    if (item['Sequence'] !== undefined) {
      side = suffix;
      continue;
    }
    const token = needText(needObject(item['SpecialToken'], 'post_processor.single[]')['id'], 'SpecialToken.id');
    const listed = Object.hasOwn(specials, token) ? needObject(specials[token], `special_tokens.${token}`) : null;
    const ids = listed === null ? [lookUp(named, token, 'post_processor')] : optionalArray(listed['ids'], 'ids');
    for (const id of ids) side.push(needId(id, `special_tokens.${token}.ids[]`));
  }
  return { prefix, suffix };
}
