import type { Clip } from './engine/clip.ts';
import type { Embedder } from './engine/embedder.ts';
import type { EncoderDecoder } from './engine/encoder_decoder.ts';
import type { ClassifierOptions, ImageClassifier } from './engine/image_classifier.ts';
import type { EncoderLoadOptions } from './engine/load_encoder.ts';
import { loadModel as loadModelFrom } from './engine/load_model.ts';
import type { Model } from './engine/model.ts';
import type { LoadOptions, LoraOption } from './engine/options.ts';
import type { Reranker } from './engine/reranker.ts';
import { createNodeHost, openNodeAdapter, openNodeClassifier, openNodeModel } from './platform/node.ts';

export * from './index.ts';

/** Where an adapter (LoRA) lies: the path of a GGUF file or of a folder that PEFT wrote, and what its own scale is multiplied by. */
export interface LoraPath {
  readonly path: string;
  readonly scale?: number;
}

export interface NodeLoadOptions extends Omit<LoadOptions, 'lora'> {
  /** Adapters (LoRA) that are added to the model's weights, in this order. */
  readonly lora?: readonly (string | LoraPath | LoraOption)[];
}

/**
 * Loads a model on Node.
 *
 * model: path of a .gguf file or of a Hugging Face folder, "embedded" (the default): the story model in the package, or
 * "hf:owner/repo" ("hf:owner/repo:file.gguf"): a model of the Hugging Face hub, kept in its tools' cache.
 *
 *   await using model = await loadModel();
 *   for await (const { text } of model.generate('Once upon a time', { maxTokens: 50 })) process.stdout.write(text);
 *
 * Throws ConfigError when there is no such file, and what reading and building throw.
 */
export async function loadModel(model = 'embedded', options: NodeLoadOptions = {}): Promise<Model> {
  const lora = adaptersOf(options.lora ?? []);
  return loadModelFrom(await openNodeModel(model, options), createNodeHost(), { ...options, lora });
}

/**
 * Loads an image classifier on Node (ViT, DeiT).
 *
 * model: path of a Hugging Face folder, or "embedded" (the default): the classifier of ten classes in the package. Pictures other
 * than PNG and JPEG are decoded with the package sharp, where it is installed.
 *
 *   await using model = await loadClassifier();
 *   const { probs, sentence } = await model.classify(await readFile('photo.jpg'));
 *
 * Throws ConfigError when there is no such folder, and what reading and building throw.
 */
export async function loadClassifier(model = 'embedded', options: ClassifierOptions = {}): Promise<ImageClassifier> {
  // By need: whoever generates text loads no decoder of pictures.
  const { loadImageClassifier } = await import('./engine/image_classifier.ts');
  const { decodeWithSharp } = await import('./platform/sharp.ts');
  return loadImageClassifier(await openNodeClassifier(model, options), createNodeHost(), {
    other: decodeWithSharp,
    ...options,
  });
}

/**
 * Loads an encoder that makes vectors of texts, on Node (BERT, RoBERTa, XLM-R, DistilBERT, nomic-bert, ModernBERT).
 *
 * model: path of a .gguf file or of a Hugging Face folder, or "hf:owner/repo"; the package has none of its own.
 *
 *   await using model = await loadEmbedder('all-MiniLM-L6-v2/');
 *   const [cat, rain] = await model.embed(['A cat sat on the mat', 'Rain tomorrow']);
 *
 * Throws UnsupportedError for a model that is no encoder, and what reading and building throw.
 */
export async function loadEmbedder(model: string, options: EncoderLoadOptions = {}): Promise<Embedder> {
  const { loadEmbedder: load } = await import('./engine/embedder.ts');
  return load(await openNodeModel(model, options), createNodeHost(), options);
}

/**
 * Loads a cross-encoder on Node: an encoder with a classification head of one score.
 *
 *   await using model = await loadReranker('ms-marco-MiniLM-L6-v2/');
 *   const [best] = await model.rank('Where do cats sleep?', ['On the mat.', 'Rain tomorrow.']);
 *
 * Throws ConfigError for a model without such a head, and as loadEmbedder does.
 */
export async function loadReranker(model: string, options: EncoderLoadOptions = {}): Promise<Reranker> {
  const { loadReranker: load } = await import('./engine/reranker.ts');
  return load(await openNodeModel(model, options), createNodeHost(), options);
}

/**
 * Loads a CLIP on Node, for labels that no model was trained on.
 *
 * model: path of a Hugging Face folder. Pictures other than PNG and JPEG are decoded with the package sharp, where it is installed.
 *
 *   await using model = await loadClip('clip-folder');
 *   const { probs, sentence } = await model.classify(await readFile('photo.jpg'), { labels: ['a cat', 'a dog'] });
 *
 * Throws ConfigError when there is no such folder, and what reading and building throw.
 */
export async function loadClip(model: string, options: ClassifierOptions = {}): Promise<Clip> {
  const { loadClipFrom } = await import('./engine/clip.ts');
  const { decodeWithSharp } = await import('./platform/sharp.ts');
  return loadClipFrom(await openNodeClassifier(model, options), createNodeHost(), {
    other: decodeWithSharp,
    ...options,
  });
}

/**
 * Loads an encoder-decoder on Node (T5, Flan-T5, mT5, UMT5): it reads a whole text, and writes another one.
 *
 * model: path of a GGUF file or a Hugging Face folder, or "hf:owner/repo".
 *
 *   await using model = await loadEncoderDecoder('flan-t5-small/');
 *   for await (const { text } of model.generate('translate English to German: The fox sat.')) process.stdout.write(text);
 *
 * Throws ConfigError when there is no such file or folder, and what reading and building throw.
 */
export async function loadEncoderDecoder(model: string, options: LoadOptions = {}): Promise<EncoderDecoder> {
  const { loadEncoderDecoder: load } = await import('./engine/encoder_decoder.ts');
  return load(await openNodeModel(model, options), createNodeHost(), options);
}

/** A path is opened when the model is loaded. */
function adaptersOf(lora: NonNullable<NodeLoadOptions['lora']>): LoraOption[] {
  return lora.map((given) => {
    if (typeof given === 'object' && 'open' in given) return given;
    const { path, scale = 1 } = typeof given === 'string' ? { path: given } : given;
    return { open: () => openNodeAdapter(path), scale };
  });
}
