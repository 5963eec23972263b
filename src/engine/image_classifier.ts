import { ConfigError, KernelError } from '../core/errors.ts';
import { allFinite } from '../core/finite.ts';
import type { Host } from '../core/host.ts';
import type { Executor, Tier } from '../exec/executor.ts';
import { buildVit, vitTensors } from '../models/vit.ts';
import { nRowsOf, type VitConfig, vitConfigFromHf } from '../models/vit_config.ts';
import { type LabelProb, labelProbs, labelSentence } from '../sample/labels.ts';
import type { DecodeOptions } from '../vision/decode.ts';
import type { RgbImage } from '../vision/image.ts';
import type { Preprocessor } from '../vision/preprocessor.ts';
import { createExecutor } from './load_model.ts';
import type { ModelSource } from './model_source.ts';
import { checkLoadOptions, type LoadOptions } from './options.ts';
import { encoderBatch, fittedPicture, openPictureFolder, patchRows, preprocessorOf } from './picture_rows.ts';

export interface ClassifyOptions {
  /** What messages call the picture. */
  readonly name?: string;
  /** Only these labels compete; all of the model's by default. */
  readonly labels?: readonly string[];
}

export interface Classification {
  /** The likeliest first. */
  readonly probs: readonly LabelProb[];
  /** "This image is most likely a dog." */
  readonly sentence: string;
}

/** A loaded image classifier. */
export interface ImageClassifier {
  readonly name: string;
  readonly labels: readonly string[];
  readonly tier: Tier;
  readonly executor: Executor;
  /** From a file's bytes (turned upright as its EXIF says) or from decoded pixels, taken as they are. */
  classify(picture: Uint8Array | RgbImage, options?: ClassifyOptions): Promise<Classification>;
  /** Logits by label, f32 and from naive64 float64, of a picture that has the model's own size. */
  logits(image: RgbImage): Float32Array | Float64Array;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type ClassifierOptions = Pick<
  LoadOptions,
  | 'executor'
  | 'kernels'
  | 'activations'
  | 'sums'
  | 'threads'
  | 'disabledPasses'
  | 'onProgress'
  | 'onNotice'
  | 'onMemoryNeed'
  | 'signal'
> &
  Pick<DecodeOptions, 'maxPixels' | 'other'>;

/**
 * Loads a Hugging Face folder of a ViT or DeiT that classifies: config.json, preprocessor_config.json, safetensors.
 * Throws the six errors of core/errors.ts; nothing stays open then.
 */
export async function loadImageClassifier(
  source: ModelSource,
  host: Host,
  options: ClassifierOptions = {},
): Promise<ImageClassifier> {
  const hf = await openPictureFolder(source);
  try {
    const config = vitConfigFromHf(hf.config);
    const tensors = vitTensors(config, hf.weights.tensors);
    const preprocessor = preprocessorOf(hf, config);
    const nRows = nRowsOf(config);
    const checked = checkLoadOptions({ ...options, maxSeq: nRows, prefillChunk: nRows }, nRows);
    const buildGraph = (activations: 'q8' | 'f32') => buildVit(config, tensors, activations);
    const executor = await createExecutor({ tensors, buildGraph }, host, checked);
    return classifierOf(hf.weights.name, config, preprocessor, executor, options, () => hf.weights.close());
  } catch (e) {
    await hf.weights.close();
    throw e;
  }
}

function classifierOf(
  name: string,
  config: VitConfig,
  preprocessor: Preprocessor,
  executor: Executor,
  decoding: DecodeOptions,
  close: () => Promise<void>,
): ImageClassifier {
  const cache = executor.createCache(nRowsOf(config));
  let isDisposed = false;
  const classifier: ImageClassifier = {
    name,
    labels: config.labels,
    tier: executor.tier,
    executor,
    async classify(picture, { name: what = 'picture', labels } = {}) {
      const logits = classifier.logits(await fittedPicture(picture, preprocessor, what, decoding));
      const probs = labelProbs(logits, config.labels, labels);
      return { probs, sentence: labelSentence(probs) };
    },
    logits(image) {
      if (isDisposed) throw new ConfigError(`model ${name}: it is disposed; load it again`);
      const sequence = cache.create();
      try {
        cache.reserve(sequence, nRowsOf(config));
        const patches = patchRows(image, preprocessor, config, executor.tier);
        const { data } = executor.run(encoderBatch(sequence, patches, config), cache);
        if (!allFinite(data)) {
          throw new KernelError(`model ${name}: its logits are not finite; the weights are damaged`);
        }
        return data;
      } finally {
        cache.release(sequence);
      }
    },
    async dispose() {
      if (isDisposed) return;
      isDisposed = true;
      executor.dispose();
      await close();
    },
    [Symbol.asyncDispose]: () => classifier.dispose(),
  };
  return classifier;
}
