import type { Graph } from '../graph/ir.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { ModelFile } from '../load/model_file.ts';
import type { Activations } from '../ops/linear.ts';
import type { Tensors } from './architecture.ts';

/** The sizes that every encoder has. */
export interface EncoderConfig {
  readonly vocab: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly headDim: number;
  /** Tokens that a text may have, start and end among them. */
  readonly maxContext: number;
  readonly normEps: number;
}

/** How the rows of a text become one vector: their mean, the row of the start token, or the row of the last token. */
export const POOLINGS = ['mean', 'cls', 'last'] as const;
export type Pooling = (typeof POOLINGS)[number];

/** What a graph gives of a row: itself [R, dim], or what the classification head makes of it [R, nScores]. */
export type EncoderOutput = 'rows' | 'scores';

/** An encoder whose config was read and checked, and of which no weight has been read yet. */
export interface Encoder {
  readonly config: EncoderConfig;
  /** What the file says of pooling; null where it says nothing. */
  readonly pooling: Pooling | null;
  /**
   * The graph as the architecture states it, before any pass. Its runs are bidirectional.
   * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
   */
  buildGraph(tensors: Tensors, activations: Activations, output: EncoderOutput): Graph;
}

/** How one family of encoders is read: one file each, and one line in models/encoders.ts. */
export interface EncoderArchitecture {
  /** Throws ConfigError for metadata that is missing or out of range, UnsupportedError for a variant by name. */
  fromGguf?(file: ModelFile): Encoder;
  /** The same for a folder's config.json; `pooling` is null: a folder says it in another file. */
  fromHf?(config: JsonObject): Encoder;
  /** A GGUF file's tensors as the graph reads them, where it reads some that the file does not have. */
  tensorsOf?(file: ModelFile): Tensors;
  /** The folder's tensors under their GGUF names; there where fromHf is. Throws UnsupportedError for a name that has no place. */
  hfTensors?(tensors: Tensors, config: JsonObject): Tensors;
}

/** A line of the list of encoders. */
export interface EncoderEntry {
  readonly ggufNames: readonly string[];
  readonly modelTypes: readonly string[];
  load(): Promise<EncoderArchitecture>;
}
