import { ConfigError, FormatError } from '../../core/errors.ts';
import { type HubReference, isHubFile } from './reference.ts';

/** Of a folder with safetensors, what the readers open. Weights come last. */
const FOLDER_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'preprocessor_config.json',
  'modules.json',
];
/** The pooling module of sentence-transformers: "1_Pooling". */
const POOLING = /^\d+_Pooling\/config\.json$/;
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const SHARD = /^model-\d+-of-\d+\.safetensors$/;
const SPLIT = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

export interface ChosenFiles {
  readonly files: readonly string[];
  /** The file to open, null for the folder. */
  readonly open: string | null;
}

/**
 * What of a repository is needed: one GGUF file with all its parts, or the files of a Hugging Face folder.
 * Throws ConfigError when it has no model or several and none is named, FormatError for a list of names that lead elsewhere.
 */
export function chooseFiles({ repo, file }: HubReference, all: readonly string[]): ChosenFiles {
  const unsafe = all.find((name) => !isHubFile(name));
  if (unsafe !== undefined) {
    throw new FormatError(`hf:${repo}: lists the file ${JSON.stringify(unsafe)}, which is no path inside it`, 0);
  }
  if (file !== null) {
    if (!all.includes(file)) throw new ConfigError(`hf:${repo}: has no file ${file}; it has ${shown(all)}`);
    if (!file.endsWith('.gguf')) {
      throw new ConfigError(
        `hf:${repo}:${file}: only GGUF files are named one by one; for a folder leave the name out`,
      );
    }
    return { files: partsOf(file, all), open: file };
  }
  const weights = all.includes(WEIGHTS)
    ? [WEIGHTS]
    : all.includes(INDEX)
      ? [INDEX, ...all.filter((f) => SHARD.test(f))]
      : [];
  if (all.includes('config.json') && weights.length > 0) {
    const small = [...FOLDER_FILES.filter((f) => all.includes(f)), ...all.filter((f) => POOLING.test(f))];
    return { files: [...small, ...weights], open: null };
  }
  // Of a split file the first part stands for all.
  const models = all.filter((f) => f.endsWith('.gguf') && (SPLIT.exec(f)?.[2] ?? '00001') === '00001');
  if (models.length === 1) return { files: partsOf(models[0]!, all), open: models[0]! };
  if (models.length > 1)
    throw new ConfigError(`hf:${repo}: has several models, name one as hf:${repo}:FILE; ${shown(models)}`);
  throw new ConfigError(`hf:${repo}: has neither a GGUF file nor config.json with safetensors; it has ${shown(all)}`);
}

function partsOf(file: string, all: readonly string[]): string[] {
  const [, stem, , count] = SPLIT.exec(file) ?? [];
  if (stem === undefined) return [file];
  return all.filter((f) => SPLIT.exec(f)?.[1] === stem && SPLIT.exec(f)?.[3] === count);
}

const MAX_SHOWN = 12;

function shown(names: readonly string[]): string {
  const more = names.length > MAX_SHOWN ? ` and ${names.length - MAX_SHOWN} more` : '';
  return names.length === 0 ? 'no files' : `${names.slice(0, MAX_SHOWN).join(', ')}${more}`;
}
