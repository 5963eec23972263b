import { loadModel as loadModelFrom } from './engine/load_model.ts';
import type { Model } from './engine/model.ts';
import type { LoadOptions } from './engine/options.ts';
import { createNodeHost, openNodeModel } from './platform/node.ts';

export * from './index.ts';

/**
 * Loads a model on Node.
 *
 * model: path of a .gguf file or of a Hugging Face folder, or "embedded" (the default): the story model in the package.
 *
 *   await using model = await loadModel();
 *   for await (const { text } of model.generate('Once upon a time', { maxTokens: 50 })) process.stdout.write(text);
 *
 * Throws ConfigError when there is no such file, and what reading and building throw.
 */
export async function loadModel(model = 'embedded', options: LoadOptions = {}): Promise<Model> {
  return loadModelFrom(await openNodeModel(model), createNodeHost(), options);
}
