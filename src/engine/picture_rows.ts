import { ConfigError } from '../core/errors.ts';
import type { Batch, Tier } from '../exec/executor.ts';
import { type HfFolder, openHfFolder } from '../load/hf_folder.ts';
import { openModelFile } from '../load/open_model.ts';
import { nRowsOf, type PatchGrid } from '../models/vit_config.ts';
import { type DecodeOptions, decodeImage } from '../vision/decode.ts';
import { upright } from '../vision/exif.ts';
import type { RgbImage } from '../vision/image.ts';
import { fitImage, normalizePixels, normalizePixels64, patchify } from '../vision/preprocess.ts';
import { type Preprocessor, parsePreprocessor } from '../vision/preprocessor.ts';
import type { ModelSource } from './model_source.ts';

/** The way of a picture into a vision transformer: what models of pictures share, whatever they make of them. */

/** A folder, or the safetensors file in one. Throws ConfigError for anything else; nothing stays open then. */
export async function openPictureFolder(source: ModelSource): Promise<HfFolder> {
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

/** How the folder's pictures are prepared. Throws ConfigError when it does not say, or when they would not fit its model. */
export function preprocessorOf(hf: HfFolder, { imageSize }: PatchGrid): Preprocessor {
  if (hf.preprocessorConfig === null) {
    throw new ConfigError(
      `${hf.weights.name}: has no preprocessor_config.json beside it, so how pictures are prepared is not known`,
    );
  }
  const preprocessor = parsePreprocessor(hf.preprocessorConfig, 'preprocessor_config.json');
  const { resize, centreCrop } = preprocessor;
  // The picture that leaves the preprocessor must have the model's size, whatever comes in.
  const size = centreCrop ?? (resize?.size.kind === 'exact' ? resize.size : undefined);
  if (size?.width === imageSize && size.height === imageSize) return preprocessor;
  const given = size === undefined ? 'of no fixed size' : `of ${size.width} x ${size.height}`;
  throw new ConfigError(
    `preprocessor_config.json: makes pictures ${given}, the model (image_size in config.json) takes ${imageSize} x ${imageSize}`,
  );
}

/** From a file's bytes (turned upright as its EXIF says) or from decoded pixels, taken as they are, to the model's size. */
export async function fittedPicture(
  picture: Uint8Array | RgbImage,
  preprocessor: Preprocessor,
  name: string,
  decoding: DecodeOptions,
): Promise<RgbImage> {
  if (!ArrayBuffer.isView(picture)) return fitImage(picture, preprocessor, name);
  const decoded = await decodeImage(picture, name, decoding);
  return fitImage(upright(decoded, decoded.orientation), preprocessor, name);
}

/** [T, 3 * size * size]: rows of 0 for the special tokens, then the patches. Throws ConfigError for a picture of another size. */
export function patchRows(
  image: RgbImage,
  preprocessor: Preprocessor,
  { imageSize, patchSize, nSpecial }: PatchGrid,
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

/** One picture as one sequence, of which the class token's row is wanted. */
export function encoderBatch(
  sequence: Batch['segments'][number]['sequence'],
  patches: Float32Array | Float64Array,
  grid: PatchGrid,
): Batch {
  const nRows = nRowsOf(grid);
  return {
    ids: Int32Array.from({ length: nRows }, (_, t) => Math.min(t, grid.nSpecial)),
    positions: Int32Array.from({ length: nRows }, (_, t) => t),
    segments: [{ sequence, from: 0, count: nRows }],
    outRows: Int32Array.of(0),
    isBidirectional: true,
    patches,
  };
}
