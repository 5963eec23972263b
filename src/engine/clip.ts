import { ConfigError, KernelError } from '../core/errors.ts';
import { allFinite } from '../core/finite.ts';
import type { Host } from '../core/host.ts';
import { exp } from '../core/math.ts';
import { sum64 } from '../core/sum.ts';
import type { Batch, Executor, Tier } from '../exec/executor.ts';
import type { KvCache } from '../kvcache/cache.ts';
import { readJsonObject } from '../load/json_file.ts';
import { buildClipText, buildClipVision, clipTensors, LOGIT_SCALE } from '../models/clip.ts';
import { type ClipConfig, clipConfigFromHf } from '../models/clip_config.ts';
import { readFactors } from '../models/small_tensors.ts';
import { nRowsOf } from '../models/vit_config.ts';
import { labelProbs, labelSentence } from '../sample/labels.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { DecodeOptions } from '../vision/decode.ts';
import type { RgbImage } from '../vision/image.ts';
import type { Preprocessor } from '../vision/preprocessor.ts';
import { encodedText, labelTexts, nextRun, roomFor, textBatch } from './clip_texts.ts';
import type { Classification, ClassifierOptions } from './image_classifier.ts';
import { createExecutor } from './load_model.ts';
import type { ModelSource } from './model_source.ts';
import { checkLoadOptions } from './options.ts';
import { encoderBatch, fittedPicture, openPictureFolder, patchRows, preprocessorOf } from './picture_rows.ts';

/** f32, and float64 from naive64; its length is 1. */
export type ClipVector = Float32Array | Float64Array;

export interface ZeroShotOptions {
  /** What competes: any words, each label once. */
  readonly labels: readonly string[];
  /**
   * The text that stands for a label, with one "{}" where the label goes. Default "a photo of a {}", or "a photo of {}" for a label
   * that brings its own article ("a cat", "the sea").
   */
  readonly template?: string | undefined;
  /** What messages call the picture. */
  readonly name?: string;
}

/** A loaded CLIP: pictures and texts as vectors of one space. */
export interface Clip {
  readonly name: string;
  readonly tier: Tier;
  readonly vision: Executor;
  readonly text: Executor;
  readonly vectorDim: number;
  /** What cosines are multiplied by before the softmax. */
  readonly scale: number;
  /** From a file's bytes (turned upright as its EXIF says) or from decoded pixels, taken as they are. */
  imageVector(picture: Uint8Array | RgbImage, name?: string): Promise<ClipVector>;
  /** Throws CapacityError for a text that has more tokens than the model takes. */
  textVectors(texts: readonly string[]): readonly ClipVector[];
  /** Which of some labels fits a picture best. Vectors of the labels are kept for the next picture. */
  classify(picture: Uint8Array | RgbImage, options: ZeroShotOptions): Promise<Classification>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Whether a source is the folder of a CLIP. Throws FormatError for a config.json that is none. */
export async function isClip({ folder }: ModelSource): Promise<boolean> {
  const file = (await folder?.open('config.json')) ?? null;
  if (file === null) return false;
  try {
    return (await readJsonObject(file))['model_type'] === 'clip';
  } finally {
    await file.close();
  }
}

/**
 * Loads the Hugging Face folder of a CLIP: config.json, preprocessor_config.json, tokenizer.json, safetensors. The towers are two
 * executors, each with its own weights; onProgress and onMemoryNeed are called for one, then for the other.
 * Throws the six errors of core/errors.ts; nothing stays open then.
 */
export async function loadClipFrom(source: ModelSource, host: Host, options: ClassifierOptions = {}): Promise<Clip> {
  const hf = await openPictureFolder(source);
  const loaded: Executor[] = [];
  try {
    const config = clipConfigFromHf(hf.config);
    const { vision, text } = config;
    const tensors = clipTensors(config, hf.weights.tensors);
    const preprocessor = preprocessorOf(hf, vision);
    if (hf.tokenizerJson === null) {
      throw new ConfigError(
        `${hf.weights.name}: has no tokenizer.json beside it, so labels have no tokens; put the model's tokenizer.json into its folder`,
      );
    }
    const tokenizer = createTokenizer({
      tokenizerJson: hf.tokenizerJson,
      tokenizerConfig: hf.tokenizerConfig ?? undefined,
    });
    if (tokenizer.vocabSize > text.vocab) {
      throw new ConfigError(
        `tokenizer.json has ${tokenizer.vocabSize} tokens, the model (vocab_size in config.json) ${text.vocab}`,
      );
    }
    const scale = exp((await readFactors(hf.weights, LOGIT_SCALE))![0]!);
    if (!Number.isFinite(scale))
      throw new KernelError(`model ${hf.weights.name}: ${LOGIT_SCALE} is not a finite number`);

    const nRows = nRowsOf(vision);
    const visionExecutor = await createExecutor(
      { tensors: tensors.vision, buildGraph: (activations) => buildClipVision(config, tensors.vision, activations) },
      host,
      checkLoadOptions({ ...options, maxSeq: nRows, prefillChunk: nRows }, nRows),
    );
    loaded.push(visionExecutor);
    const room = roomFor(text.maxContext);
    const kv = { kind: 'paged', budget: room } as const;
    const textExecutor = await createExecutor(
      { tensors: tensors.text, buildGraph: (activations) => buildClipText(config, tensors.text, activations) },
      host,
      checkLoadOptions({ ...options, maxSeq: text.maxContext, prefillChunk: room, kv }, text.maxContext),
    );
    loaded.push(textExecutor);
    return clipOf({
      name: hf.weights.name,
      config,
      preprocessor,
      tokenizer,
      scale,
      vision: { executor: visionExecutor, cache: visionExecutor.createCache(nRows) },
      text: { executor: textExecutor, cache: textExecutor.createCache(text.maxContext, kv) },
      decoding: options,
      close: () => hf.weights.close(),
    });
  } catch (e) {
    for (const executor of loaded) executor.dispose();
    await hf.weights.close();
    throw e;
  }
}

interface Tower {
  readonly executor: Executor;
  readonly cache: KvCache;
}

interface ClipParts {
  readonly name: string;
  readonly config: ClipConfig;
  readonly preprocessor: Preprocessor;
  readonly tokenizer: Tokenizer;
  readonly scale: number;
  readonly vision: Tower;
  readonly text: Tower;
  readonly decoding: DecodeOptions;
  close(): Promise<void>;
}

function clipOf({ name, config, preprocessor, tokenizer, scale, vision, text, decoding, close }: ClipParts): Clip {
  const { tier } = vision.executor;
  const { vectorDim } = config;
  let isDisposed = false;
  /** Of the labels of the last picture. */
  let known: { readonly texts: readonly string[]; readonly vectors: readonly ClipVector[] } = {
    texts: [],
    vectors: [],
  };

  /** The vectors of a batch; its sequences are released. */
  const run = ({ executor, cache }: Tower, batch: Batch): ClipVector[] => {
    try {
      const { data } = executor.run(batch, cache);
      if (!allFinite(data)) {
        throw new KernelError(`model ${name}: its vectors are not finite; the weights are damaged`);
      }
      return Array.from(batch.outRows, (_, i) => unitVector(data.subarray(i * vectorDim, (i + 1) * vectorDim)));
    } finally {
      for (const { sequence } of batch.segments) cache.release(sequence);
    }
  };
  const checkAlive = (): void => {
    if (isDisposed) throw new ConfigError(`model ${name}: it is disposed; load it again`);
  };

  const clip: Clip = {
    name,
    tier,
    vision: vision.executor,
    text: text.executor,
    vectorDim,
    scale,
    async imageVector(picture, what = 'picture') {
      const image = await fittedPicture(picture, preprocessor, what, decoding);
      checkAlive();
      const patches = patchRows(image, preprocessor, config.vision, tier);
      const sequence = vision.cache.create();
      vision.cache.reserve(sequence, nRowsOf(config.vision));
      return run(vision, encoderBatch(sequence, patches, config.vision))[0]!;
    },
    textVectors(texts) {
      checkAlive();
      const all = texts.map((words) => encodedText(words, tokenizer, config.text));
      const vectors: ClipVector[] = [];
      for (let first = 0; first < all.length; ) {
        const next = nextRun(all, first);
        vectors.push(...run(text, textBatch(text.cache, next)));
        first += next.length;
      }
      return vectors;
    },
    async classify(picture, { labels, template, name: what }) {
      const texts = labelTexts(labels, template);
      if (JSON.stringify(texts) !== JSON.stringify(known.texts)) known = { texts, vectors: clip.textVectors(texts) };
      const { vectors } = known;
      const image = await clip.imageVector(picture, what);
      const logits = vectors.map((vector) => scale * dot(image, vector));
      const probs = labelProbs(logits, labels);
      return { probs, sentence: labelSentence(probs) };
    },
    async dispose() {
      if (isDisposed) return;
      isDisposed = true;
      for (const { executor } of [vision, text]) executor.dispose();
      await close();
    },
    [Symbol.asyncDispose]: () => clip.dispose(),
  };
  return clip;
}

/** v / |v|, computed in float64 and rounded once to the type of v. A vector of zeros stays as it is. */
function unitVector(v: ClipVector): ClipVector {
  const length = Math.sqrt(dot(v, v));
  return length > 0 ? v.map((x) => x / length) : v.slice();
}

function dot(a: ClipVector, b: ClipVector): number {
  const products = Float64Array.from(a, (x, i) => x * b[i]!);
  return sum64(products, 0, products.length);
}
