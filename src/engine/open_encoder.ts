import { ConfigError } from '../core/errors.ts';
import type { SourceFolder } from '../core/host.ts';
import { type HfFolder, openHfFolder } from '../load/hf_folder.ts';
import { type JsonValue, readJson } from '../load/json_file.ts';
import { openModelFile } from '../load/open_model.ts';
import { describeEncoderFolder, describeEncoderGguf, type EncoderDescription } from '../models/encoders.ts';
import { poolingOfModules } from '../models/sentence_modules.ts';
import { ggufVocab } from '../text/gguf_vocab.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { TokenizerFiles } from '../text/tokenizer_json.ts';
import type { ModelSource } from './model_source.ts';

/** An encoder that was opened and understood, of which no weight has been read yet. */
export interface OpenedEncoder {
  readonly name: string;
  readonly description: EncoderDescription;
  readonly tokenizer: Tokenizer;
  /** What the tokenizer was made of: pairs of texts are described there too. */
  readonly vocabulary: TokenizerFiles;
  close(): Promise<void>;
}

/** Reads everything but the weights. Throws the six errors of core/errors.ts; nothing stays open then. */
export async function openEncoder(source: ModelSource): Promise<OpenedEncoder> {
  if (source.kind === 'folder') return openFolder(await openHfFolder(source.folder), source.folder);
  let close = (): Promise<void> => source.source.close();
  try {
    const file = await openModelFile(source.source, source.folder);
    close = () => file.close();
    if (file.format === 'safetensors') {
      if (source.folder !== undefined) return await openFolder(await openHfFolder(source.folder, file), source.folder);
      throw new ConfigError(
        `${file.name}: a safetensors file holds tensors only; give its folder, with config.json and tokenizer.json beside it`,
      );
    }
    const description = await describeEncoderGguf(file);
    const vocabulary = ggufVocab(file.metadata);
    return { name: file.name, description, vocabulary, tokenizer: createTokenizer(vocabulary), close };
  } catch (e) {
    await close();
    throw e;
  }
}

async function openFolder(hf: HfFolder, folder: SourceFolder): Promise<OpenedEncoder> {
  const close = (): Promise<void> => hf.weights.close();
  try {
    const description = await describeEncoderFolder(hf);
    if (hf.tokenizerJson === null) {
      throw new ConfigError(
        `${folder.name}: has no tokenizer.json, so a text has no tokens; put the model's tokenizer.json into it, or use a GGUF file`,
      );
    }
    const vocabulary = { tokenizerJson: hf.tokenizerJson, tokenizerConfig: hf.tokenizerConfig ?? {} };
    const pooling = description.pooling ?? (await poolingOfModules((path) => readWithin(folder, path)));
    return {
      name: folder.name,
      description: { ...description, pooling },
      vocabulary,
      tokenizer: createTokenizer(vocabulary),
      close,
    };
  } catch (e) {
    await close();
    throw e;
  }
}

/** A JSON file, or one within a folder of the folder ("1_Pooling/config.json"); null where there is none. */
async function readWithin(folder: SourceFolder, path: readonly string[]): Promise<JsonValue | null> {
  const within = path.length === 1 ? folder : (folder.folder?.(path[0]!) ?? null);
  const source = (await within?.open(path.at(-1)!)) ?? null;
  if (source === null) return null;
  try {
    return await readJson(source);
  } finally {
    await source.close();
  }
}
