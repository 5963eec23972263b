import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../load/json_file.ts';
import type { Pooling } from './encoder.ts';

/** A JSON file within a model's folder, by the names on the way to it; null where there is none. */
export type ReadJsonWithin = (path: readonly string[]) => Promise<JsonValue | null>;

/** What a folder of sentence-transformers may consist of. The last one is what `embed` does unless it is told not to. */
const KNOWN_MODULES: readonly string[] = ['Transformer', 'Pooling', 'Normalize'];

/** The switches of a pooling module that have a name here; all others must be off. */
const MODES: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_lasttoken: 'last',
};

const DEFAULT_POOLING_FOLDER = '1_Pooling';

/**
 * What a folder of sentence-transformers says of pooling: modules.json, and the pooling module's config.json; null where it has
 * neither. Throws UnsupportedError for a module or a mode that is not known here, by name: without it the vectors would be others.
 * Source: sentence-transformers, models/Pooling.py.
 */
export async function poolingOfModules(read: ReadJsonWithin): Promise<Pooling | null> {
  const modules = await read(['modules.json']);
  let folder = DEFAULT_POOLING_FOLDER;
  if (modules !== null) {
    if (!Array.isArray(modules)) throw new ConfigError('modules.json: holds no list of modules');
    for (const entry of modules as readonly JsonValue[]) {
      const { type, path } = (entry ?? {}) as JsonObject;
      const kind = String(type).split('.').at(-1)!;
      if (!KNOWN_MODULES.includes(kind)) {
        throw new UnsupportedError(
          `modules.json: module ${String(type)} cannot be run; known are ${KNOWN_MODULES.join(', ')}`,
        );
      }
      if (kind === 'Pooling') folder = String(path);
    }
  }
  const config = await read([folder, 'config.json']);
  return config === null ? null : poolingOfConfig(config, `${folder}/config.json`);
}

/** Throws UnsupportedError unless exactly one mode is on, and it has a name here. */
function poolingOfConfig(config: JsonValue, what: string): Pooling {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new ConfigError(`${what}: holds no object`);
  }
  const on = Object.entries(config as JsonObject).flatMap(([key, value]) =>
    key.startsWith('pooling_mode_') && value === true ? [key] : [],
  );
  const [mode] = on;
  const pooling = mode === undefined ? undefined : MODES[mode];
  if (on.length === 1 && pooling !== undefined) return pooling;
  throw new UnsupportedError(
    `${what}: pooling is ${on.length === 0 ? 'none' : on.join(' + ')}; run are ${Object.keys(MODES).join(', ')}, one at a time`,
  );
}
