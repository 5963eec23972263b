import { ConfigError, KernelError } from '../core/errors.ts';
import type { Host } from '../core/host.ts';
import type { Batch, Executor, Tier } from '../exec/executor.ts';
import { type HfFolder, openHfFolder } from '../load/hf_folder.ts';
import { openModelFile } from '../load/open_model.ts';
import { buildVit, vitTensors } from '../models/vit.ts';
import { nRowsOf, type VitConfig, vitConfigFromHf } from '../models/vit_config.ts';
import { type LabelProb, labelProbs, labelSentence } from '../sample/labels.ts';
import { type DecodeOptions, decodeImage } from '../vision/decode.ts';
import { upright } from '../vision/exif.ts';
import type { DecodedImage, RgbImage } from '../vision/image.ts';
import { fitImage, normalizePixels, normalizePixels64, patchify } from '../vision/preprocess.ts';
import { type Preprocessor, parsePreprocessor } from '../vision/preprocessor.ts';
import { createExecutor } from './load_model.ts';
import type { ModelSource } from './model_source.ts';
import { checkLoadOptions, type LoadOptions } from './options.ts';

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
  const hf = await openClassifierFolder(source);
  try {
    const config = vitConfigFromHf(hf.config);
    const tensors = vitTensors(config, hf.weights.tensors);
    if (hf.preprocessorConfig === null) {
      throw new ConfigError(
        `${hf.weights.name}: has no preprocessor_config.json beside it, so how pictures are prepared is not known`,
      );
    }
    const preprocessor = parsePreprocessor(hf.preprocessorConfig, 'preprocessor_config.json');
    checkOutputSize(preprocessor, config);
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

/** A folder, or the safetensors file in one. Throws ConfigError for anything else; nothing stays open then. */
async function openClassifierFolder(source: ModelSource): Promise<HfFolder> {
  if (source.kind === 'folder') return openHfFolder(source.folder);
  let close = (): Promise<void> => source.source.close();
  try {
    const file = await openModelFile(source.source, source.folder);
    close = () => file.close();
    if (file.format === 'safetensors' && source.folder !== undefined) return await openHfFolder(source.folder, file);
    throw new ConfigError(
      `${file.name}: an image classifier is a Hugging Face folder with config.json and model.safetensors; give the folder`,
    );
  } catch (e) {
    await close();
    throw e;
  }
}

/** The picture that leaves the preprocessor must have the model's size, whatever comes in. */
function checkOutputSize({ resize, centreCrop }: Preprocessor, { imageSize }: VitConfig): void {
  const size = centreCrop ?? (resize?.size.kind === 'exact' ? resize.size : undefined);
  if (size?.width === imageSize && size.height === imageSize) return;
  const given = size === undefined ? 'of no fixed size' : `of ${size.width} x ${size.height}`;
  throw new ConfigError(
    `preprocessor_config.json: makes pictures ${given}, the model (image_size in config.json) takes ${imageSize} x ${imageSize}`,
  );
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
      const image = ArrayBuffer.isView(picture) ? turned(await decodeImage(picture, what, decoding)) : picture;
      const logits = classifier.logits(fitImage(image, preprocessor, what));
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
        if (!data.every(Number.isFinite)) {
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

function turned(image: DecodedImage): RgbImage {
  return upright(image, image.orientation);
}

/** [T, 3 * size * size]: rows of 0 for the special tokens, then the patches. */
function patchRows(
  image: RgbImage,
  preprocessor: Preprocessor,
  { imageSize, patchSize, nSpecial }: VitConfig,
  tier: Tier,
): Float32Array | Float64Array {
  if (image.width !== imageSize || image.height !== imageSize) {
    throw new ConfigError(
      `the picture is ${image.width} x ${image.height}, the model takes ${imageSize} x ${imageSize}`,
    );
  }
  const planes = tier === 'naive64' ? normalizePixels64(image, preprocessor) : normalizePixels(image, preprocessor);
  const patches = patchify(planes, imageSize, imageSize, patchSize);
  const nSpecialNumbers = nSpecial * 3 * patchSize ** 2;
  const rows =
    tier === 'naive64'
      ? new Float64Array(nSpecialNumbers + patches.length)
      : new Float32Array(nSpecialNumbers + patches.length);
  rows.set(patches, nSpecialNumbers);
  return rows;
}

/** One picture as one sequence, of which the class token's logits are wanted. */
export function encoderBatch(
  sequence: Batch['segments'][number]['sequence'],
  patches: Float32Array | Float64Array,
  config: VitConfig,
): Batch {
  const nRows = nRowsOf(config);
  return {
    ids: Int32Array.from({ length: nRows }, (_, t) => Math.min(t, config.nSpecial)),
    positions: Int32Array.from({ length: nRows }, (_, t) => t),
    segments: [{ sequence, from: 0, count: nRows }],
    outRows: Int32Array.of(0),
    isBidirectional: true,
    patches,
  };
}
