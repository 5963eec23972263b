import { ConfigError } from '../core/errors.ts';
import { getString, getStrings, type Metadata } from '../core/metadata.ts';
import { needObject, needText } from './tokenizer_json.ts';

// Where a model's files have its chat template. Apart from chat_template.ts, which renders it, since that takes a language of its own: a
// quarter of the engine, loaded with models that have a template.

/**
 * The template of tokenizer_config.json: a string, or a list of {name, template} of which `name` is taken.
 * null where there is none of that name. Throws ConfigError for other forms.
 */
export function configChatTemplate(tokenizerConfig: object, name = 'default'): string | null {
  const value = needObject(tokenizerConfig, 'tokenizer_config')['chat_template'];
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return name === 'default' ? value : null;
  if (!Array.isArray(value)) throw new ConfigError('tokenizer_config: chat_template is neither a string nor a list');
  for (const entry of value) {
    const named = needObject(entry, 'chat_template[]');
    if (named['name'] === name) return needText(named['template'], `chat_template "${name}"`);
  }
  return null;
}

/** The template in GGUF metadata: tokenizer.chat_template, or tokenizer.chat_template.<name>. null where there is none. */
export function ggufChatTemplate(meta: Metadata, name = 'default'): string | null {
  if (name === 'default') return getString(meta, 'tokenizer.chat_template') ?? null;
  const names = getStrings(meta, 'tokenizer.chat_templates') ?? [];
  if (!Array.from(names).includes(name)) return null;
  return getString(meta, `tokenizer.chat_template.${name}`) ?? null;
}

/**
 * The template, or the reason why there can be no chat. A format that the model was not trained on would be a guess.
 * Throws ConfigError naming the model and the next step.
 */
export function needChatTemplate(template: string | null, modelName: string): string {
  if (template !== null) return template;
  throw new ConfigError(
    `${modelName} has no chat template: it was not made for conversations; use generate --raw with plain text`,
  );
}
