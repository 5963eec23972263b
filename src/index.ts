/**
 * Glassformer's public API. `index.node.ts` and `index.browser.ts` add what belongs to one host: `loadModel` for paths, or
 * for buffers and addresses.
 */

export type { DType } from './core/dtype.ts';
export {
  CapacityError,
  ConfigError,
  FormatError,
  type GlassformerError,
  isGlassformerError,
  KernelError,
  ShapeError,
  UnsupportedError,
} from './core/errors.ts';
export type { ByteSource, Host, KernelBuild, SourceFolder } from './core/host.ts';
export type { Clip, ClipVector, ZeroShotOptions } from './engine/clip.ts';
export type { Embedder, EmbedOptions, Vector } from './engine/embedder.ts';
export type { EncodedSource, EncoderDecoder, SourceText } from './engine/encoder_decoder.ts';
export type { JsonSchema } from './engine/forms.ts';
export type { Beam, GenerateOptions, Piece, Speculation, Summary } from './engine/generate.ts';
export type { ManyEvent, ManyOptions, ManyRequest } from './engine/generate_many.ts';
export type { Classification, ClassifierOptions, ClassifyOptions, ImageClassifier } from './engine/image_classifier.ts';
export type { EncoderInfo, EncoderLoadOptions } from './engine/load_encoder.ts';
export { loadModel as loadModelFrom } from './engine/load_model.ts';
export type { ChatPrompt, Model, ModelInfo, Prompt } from './engine/model.ts';
export type { ModelSource } from './engine/model_source.ts';
export type { LoadOptions, LoraOption } from './engine/options.ts';
export type { ShiftOptions } from './engine/overflow.ts';
export type { DraftModel, DraftOptions, LookupOptions, SpeculateOptions } from './engine/proposals.ts';
export type { Ranked, Reranker } from './engine/reranker.ts';
export { sampleSeed } from './engine/sample_seed.ts';
export type { Session, SessionOptions } from './engine/session.ts';
export type { Logits, Tier } from './exec/executor.ts';
export type { MemoryNeed } from './exec/wasm/memory_need.ts';
export type { KvStats } from './kvcache/cache.ts';
export type { KvOptions } from './kvcache/options.ts';
export type { OnProgress, Progress } from './load/weights.ts';
export type { Pooling } from './models/encoder.ts';
export type { Activations } from './ops/linear.ts';
export type { LabelProb } from './sample/labels.ts';
export type { SamplingOptions, TokenLogprob } from './sample/options.ts';
export type { FinishReason } from './sample/stopping.ts';
export type { ChatMessage } from './text/chat_template.ts';
export type { TextKind, TextPart } from './text/reasoning.ts';
export type { Tokenizer } from './text/tokenizer.ts';
export type { DecodedImage, RgbImage } from './vision/image.ts';
