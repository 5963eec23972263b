import type { Graph } from '../graph/ir.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { ModelFile, TensorInfo } from '../load/model_file.ts';
import type { Activations } from '../ops/linear.ts';
import type { DecoderSizes } from './config.ts';

/** Tensors by their GGUF names. */
export type Tensors = ReadonlyMap<string, TensorInfo>;

/** A decoder whose config was read and checked, and of which no weight has been read yet. */
export interface Decoder {
  /** Everything that decides the graph, plain data: the sizes that all decoders have, and the architecture's own. */
  readonly config: DecoderSizes;
  /** What else "inspect" says about it, e.g. ['rope', 'base 10000, ...']. */
  readonly facts: readonly (readonly [name: string, text: string])[];
  /**
   * The graph as the architecture states it, before any pass. maxSeq: positions that one sequence may have, by default the
   * model's whole context; some scalings of the rope follow from it (`ropeAt`).
   * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
   */
  buildGraph(tensors: Tensors, activations: Activations, maxSeq?: number): Graph;
}

/** How one family of models is read: one file each, and one line in models/architectures.ts. */
export interface Architecture {
  /** Throws ConfigError for metadata that is missing or out of range, UnsupportedError for a variant by name. */
  fromGguf?(file: ModelFile): Promise<Decoder>;
  /** A GGUF file's tensors as the graph reads them, where the file has some in another shape. */
  tensorsOf?(tensors: Tensors): Tensors;
  /** As fromGguf, of a folder's config.json. */
  fromHf?(config: JsonObject): Decoder;
  /**
   * The folder's tensors under their GGUF names; where GGUF has another layout, derived ones (load/derived_tensors.ts).
   * Throws UnsupportedError for a name that has no place. By default the names of the Llama family (load/names.ts).
   */
  hfTensors?(tensors: Tensors, config: JsonObject): Tensors;
  /** What a config.json without tie_word_embeddings means; false by default. */
  readonly isTiedByDefault?: boolean;
  /** What a folder calls the output matrix, for messages; lm_head.weight by default. */
  readonly hfHead?: string;
}

/** A line of the list of architectures. */
export interface ArchitectureEntry {
  /** What a GGUF file may say in general.architecture. */
  readonly ggufNames: readonly string[];
  /** What a config.json may say in model_type. */
  readonly modelTypes: readonly string[];
  /** Its code: fetched when a model asks for it, so that a page does not load those of all families. */
  load(): Promise<Architecture>;
}
