import { ConfigError, FormatError } from '../core/errors.ts';
import type { ByteSource, SourceFolder } from '../core/host.ts';
import { type JsonObject, readJsonObject } from './json_file.ts';
import type { ModelFile } from './model_file.ts';
import { readAll } from './read_all.ts';
import { openSafetensors } from './safetensors.ts';
import { openSafetensorsShards } from './safetensors_shards.ts';
import { decodeUtf8 } from './utf8.ts';

/**
 * A model's folder as the Hugging Face hub has it. What a folder may lack is null, not filled in: whoever needs a tokenizer
 * says so.
 */
export interface HfFolder {
  /** config.json. */
  readonly config: JsonObject;
  /** tokenizer.json. */
  readonly tokenizerJson: JsonObject | null;
  /** tokenizer_config.json. */
  readonly tokenizerConfig: JsonObject | null;
  /** generation_config.json. */
  readonly generationConfig: JsonObject | null;
  /** preprocessor_config.json, of models that see. */
  readonly preprocessorConfig: JsonObject | null;
  /** chat_template.jinja, where newer checkpoints have what older ones keep inside tokenizer_config.json. */
  readonly chatTemplate: string | null;
  /** model.safetensors, else the shards of model.safetensors.index.json. Names are the files' own: see `ggufNameOf`. */
  readonly weights: ModelFile;
}

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const CHAT_TEMPLATE = 'chat_template.jinja';

/** Published templates are below 20 kB. */
const MAX_TEMPLATE_BYTES = 1 << 20;

/**
 * Reads a model folder. No weight is read yet; `weights.close()` closes what stays open.
 * weights: a file that was opened already (somebody named it), in place of the folder's own.
 *
 * Throws ConfigError when config.json or the weights are missing, FormatError when a file is not what its name says,
 * CapacityError when a JSON file has more than 64 MB; then nothing stays open.
 */
export async function openHfFolder(folder: SourceFolder, weights?: ModelFile): Promise<HfFolder> {
  const config = await readOptional(folder, 'config.json', readJsonObject);
  if (config === null) {
    throw new ConfigError(
      `${folder.name}: has no config.json, so it is not a model's folder; give the folder that has it, or a .gguf file`,
    );
  }
  return {
    config,
    tokenizerJson: await readOptional(folder, 'tokenizer.json', readJsonObject),
    tokenizerConfig: await readOptional(folder, 'tokenizer_config.json', readJsonObject),
    generationConfig: await readOptional(folder, 'generation_config.json', readJsonObject),
    preprocessorConfig: await readOptional(folder, 'preprocessor_config.json', readJsonObject),
    chatTemplate: await readOptional(folder, CHAT_TEMPLATE, readText),
    // Last, since it is the only one that stays open.
    weights: weights ?? (await openWeights(folder)),
  };
}

/** Opens, reads and closes a file; null when the folder does not have it. */
async function readOptional<T>(
  folder: SourceFolder,
  fileName: string,
  read: (source: ByteSource) => Promise<T>,
): Promise<T | null> {
  const source = await folder.open(fileName);
  if (source === null) return null;
  try {
    return await read(source);
  } finally {
    await source.close();
  }
}

async function readText(source: ByteSource): Promise<string> {
  const text = decodeUtf8(await readAll(source, MAX_TEMPLATE_BYTES));
  if (text === null) throw new FormatError(`${source.name}: is not UTF-8`, 0);
  return text;
}

async function openWeights(folder: SourceFolder): Promise<ModelFile> {
  const single = await folder.open(WEIGHTS);
  if (single !== null) {
    try {
      return await openSafetensors(single);
    } catch (error) {
      await single.close();
      throw error;
    }
  }
  const sharded = await readOptional(folder, INDEX, (index) => openSafetensorsShards(index, folder));
  if (sharded !== null) return sharded;
  throw new ConfigError(
    `${folder.name}: has neither ${WEIGHTS} nor ${INDEX}; convert the weights to safetensors, or give a .gguf file`,
  );
}
