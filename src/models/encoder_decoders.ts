import { UnsupportedError } from '../core/errors.ts';

/** Of an encoder-decoder: general.architecture, or model_type of config.json. models/t5_config.ts and t5_gguf.ts read them. */
const GGUF_NAMES: readonly string[] = ['t5'];
const MODEL_TYPES: readonly string[] = ['t5', 'mt5', 'umt5'];

export function isEncoderDecoderName(key: 'ggufNames' | 'modelTypes', name: unknown): boolean {
  return (key === 'ggufNames' ? GGUF_NAMES : MODEL_TYPES).some((known) => known === name);
}

/** Throws UnsupportedError for a name of an encoder-decoder, which says what such a model is for. */
export function refuseEncoderDecoder(key: 'ggufNames' | 'modelTypes', name: string, what: string): void {
  if (!isEncoderDecoderName(key, name)) return;
  throw new UnsupportedError(
    `${what} is "${name}", an encoder-decoder; use "generate" with one prompt, or loadEncoderDecoder of the library`,
  );
}
