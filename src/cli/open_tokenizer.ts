import { ConfigError } from '../core/errors.ts';
import { openHfFolder } from '../load/hf_folder.ts';
import { openModelFile } from '../load/open_model.ts';
import { openNodeModel } from '../platform/node.ts';
import { ggufVocab } from '../text/gguf_vocab.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';

/**
 * The tokenizer of a model, or of a file that has a vocabulary and nothing else. No weight is read, and the architecture does
 * not matter.
 * Throws ConfigError where there is no tokenizer, and what opening and createTokenizer throw.
 */
export async function openTokenizer(path: string): Promise<Tokenizer> {
  const model = await openNodeModel(path);
  if (model.kind === 'folder') {
    const folder = await openHfFolder(model.folder);
    await folder.weights.close();
    if (folder.tokenizerJson === null)
      throw new ConfigError(
        `${path}: has no tokenizer.json, so a text has no tokens; put the model's tokenizer.json into it, or use a GGUF file`,
      );
    return createTokenizer({ tokenizerJson: folder.tokenizerJson, tokenizerConfig: folder.tokenizerConfig ?? {} });
  }
  try {
    const file = await openModelFile(model.source, model.folder);
    await file.close(); // the directory and the metadata have been read
    if (file.format === 'safetensors') {
      throw new ConfigError(
        `${path}: a safetensors file has no vocabulary; give its folder, with tokenizer.json in it`,
      );
    }
    return createTokenizer(ggufVocab(file.metadata));
  } finally {
    await model.source.close();
  }
}
