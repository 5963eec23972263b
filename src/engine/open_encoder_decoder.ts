import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { ByteSource, SourceFolder } from '../core/host.ts';
import { getString } from '../core/metadata.ts';
import { peekArchitecture } from '../load/gguf_header.ts';
import { type HfFolder, openHfFolder } from '../load/hf_folder.ts';
import { readJsonObject } from '../load/json_file.ts';
import { openModelFile } from '../load/open_model.ts';
import { isEncoderDecoderName } from '../models/encoder_decoders.ts';
import { type T5Config, t5ConfigFromHf } from '../models/t5_config.ts';
import { T5_GGUF_NAME, t5ConfigFromGguf, t5TensorsOfGguf } from '../models/t5_gguf.ts';
import { type T5Tensors, t5Tensors } from '../models/t5_tensors.ts';
import { ggufVocab } from '../text/gguf_vocab.ts';
import { createNumberTokenizer } from '../text/number_tokenizer.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { ModelSource } from './model_source.ts';

/** An encoder-decoder that was opened and understood, of which no weight has been read yet. */
export interface OpenedEncoderDecoder {
  readonly name: string;
  readonly config: T5Config;
  readonly tensors: T5Tensors;
  /** A text ends with its end token, and so does an answer. */
  readonly tokenizer: Tokenizer;
  close(): Promise<void>;
}

/** Whether a source is a T5 (or mT5, UMT5); it stays open. Throws FormatError for a config.json or the head of a GGUF file that is damaged. */
export async function isEncoderDecoder(source: ModelSource): Promise<boolean> {
  if (source.kind === 'file') return isEncoderDecoderName('ggufNames', await peekArchitecture(source.source));
  const file = await source.folder.open('config.json');
  if (file === null) return false;
  try {
    return isEncoderDecoderName('modelTypes', (await readJsonObject(file))['model_type']);
  } finally {
    await file.close();
  }
}

/** Reads everything but the weights. Throws the six errors of core/errors.ts; nothing stays open then. */
export async function openEncoderDecoder(source: ModelSource): Promise<OpenedEncoderDecoder> {
  return source.kind === 'folder' ? openFolder(source.folder) : openFile(source.source, source.folder);
}

async function openFolder(folder: SourceFolder): Promise<OpenedEncoderDecoder> {
  const hf = await openHfFolder(folder);
  const close = (): Promise<void> => hf.weights.close();
  try {
    const config = t5ConfigFromHf(hf.config);
    const tokenizer = checked(tokenizerOfFolder(hf, config), config);
    return { name: hf.weights.name, config, tensors: t5Tensors(config, hf.weights.tensors), tokenizer, close };
  } catch (e) {
    await close();
    throw e;
  }
}

async function openFile(source: ByteSource, folder: SourceFolder | undefined): Promise<OpenedEncoderDecoder> {
  let close = (): Promise<void> => source.close();
  try {
    const file = await openModelFile(source, folder);
    close = () => file.close();
    if (file.format === 'safetensors') {
      throw new ConfigError(`${file.name}: holds tensors only; give its folder, with config.json and tokenizer.json`);
    }
    const architecture = getString(file.metadata, 'general.architecture');
    if (architecture !== T5_GGUF_NAME) {
      throw new UnsupportedError(
        `${file.name}: architecture is "${architecture}", which is not an encoder-decoder that is known (${T5_GGUF_NAME})`,
      );
    }
    const config = t5ConfigFromGguf(file.metadata, file.tensors);
    const tokenizer = checked(createTokenizer(ggufVocab(file.metadata)), config);
    return { name: file.name, config, tensors: t5TensorsOfGguf(config, file.tensors), tokenizer, close };
  } catch (e) {
    await close();
    throw e;
  }
}

function checked(tokenizer: Tokenizer, { vocab }: T5Config): Tokenizer {
  if (tokenizer.vocabSize > vocab) {
    throw new ConfigError(`the tokenizer has ${tokenizer.vocabSize} tokens, the model (vocab_size) ${vocab}`);
  }
  if (tokenizer.eosIds.size > 0) return tokenizer;
  throw new ConfigError('the vocabulary names no token that ends an answer (eos_token_id); convert the model again');
}

function tokenizerOfFolder(hf: HfFolder, { vocab }: T5Config): Tokenizer {
  const end = hf.config['eos_token_id'];
  if (!(Number.isInteger(end) && (end as number) >= 0 && (end as number) < vocab)) {
    throw new ConfigError(`config.json: eos_token_id is ${JSON.stringify(end)}, expected the id that ends an answer`);
  }
  if (hf.tokenizerJson === null) return createNumberTokenizer(hf.weights.name, vocab, [end as number]);
  return createTokenizer(
    { tokenizerJson: hf.tokenizerJson, tokenizerConfig: hf.tokenizerConfig ?? undefined },
    { eosIds: [end as number] },
  );
}
