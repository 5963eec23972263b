import { ConfigError, UnsupportedError } from '../../core/errors.ts';
import { isJsonObject, type Json, type Subschema } from './keywords.ts';

/** The subschema below one, at these keys. */
export function below(pointer: string, ...keys: readonly (string | number)[]): string {
  return [pointer, ...keys.map((key) => escapedKey(String(key)))].join('/');
}

/** Throws ConfigError unless `value` can be a schema. */
export function subschema(value: unknown, pointer: string): Subschema {
  if (typeof value === 'boolean' || isJsonObject(value)) return { schema: value, pointer };
  throw new ConfigError(`schema: ${pointer} is ${JSON.stringify(value)}, must be an object or a boolean`);
}

/**
 * What a $ref at `pointer` refers to: "#" or a JSON pointer within the same schema.
 * Throws UnsupportedError for references to other documents and anchors, ConfigError where there is nothing.
 */
export function referred(root: Json | boolean, reference: unknown, pointer: string): Subschema {
  if (typeof reference !== 'string') {
    throw new ConfigError(`schema: ${pointer}/$ref is ${JSON.stringify(reference)}, must be a text`);
  }
  if (reference !== '#' && !reference.startsWith('#/')) {
    throw new UnsupportedError(
      `schema: ${pointer}/$ref is ${JSON.stringify(reference)}; only "#" and "#/..." within the schema are supported`,
    );
  }
  const keys = reference.split('/').slice(1).map(unescapedKey);
  let value: unknown = root;
  for (const key of keys) {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    if (!isThere)
      throw new ConfigError(`schema: ${pointer}/$ref is ${JSON.stringify(reference)}, and nothing is there`);
    value = (value as Json)[key];
  }
  return subschema(value, below('#', ...keys));
}

/** Source: RFC 6901, sections 3 and 6. */
function escapedKey(key: string): string {
  return encodeURI(
    key
      .replace(/\p{Surrogate}/gu, '\uFFFD')
      .replaceAll('~', '~0')
      .replaceAll('/', '~1'),
  );
}

function unescapedKey(key: string): string {
  let text = key;
  try {
    text = decodeURIComponent(key);
  } catch {
    // A lone % stands for itself.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~');
}
