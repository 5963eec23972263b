import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { checkReadByLinears, groupedByWeight, type LoraDelta, withLora } from '../graph/lora.ts';
import { readJsonObject } from '../load/json_file.ts';
import { checkFits, type LoraFile, rankOf } from '../load/lora.ts';
import { loraOfGguf } from '../load/lora_gguf.ts';
import { loraOfPeft, PEFT_CONFIG, PEFT_WEIGHTS } from '../load/lora_peft.ts';
import { mergedWeight, type ScaledPair } from '../load/merged_lora.ts';
import type { ModelFile, TensorInfo } from '../load/model_file.ts';
import { openModelFile } from '../load/open_model.ts';
import { quote } from '../load/quote.ts';
import { dtypeOf } from '../load/weights.ts';
import type { ModelDescription } from '../models/architectures.ts';
import { isPlaceable, placeOf } from './adapter_places.ts';
import type { ModelSource } from './model_source.ts';
import type { LoraOption } from './options.ts';

/** A model with its adapters: what is loaded in place of the plain one. */
export interface AdaptedModel {
  readonly description: ModelDescription;
  /** Closes the adapters' files. */
  close(): Promise<void>;
}

/** A pair for one weight of the model, by the model's name. */
interface Placed extends ScaledPair {
  readonly weight: string;
  readonly adapter: number;
}

/**
 * Opens adapters (LoRA) for a model: each a GGUF file, or a folder of PEFT (or the safetensors file in it).
 * isMerged: W + s B A takes the place of W; else B A x is computed beside W x in every run.
 *
 * Throws ConfigError for an adapter of another architecture, UnsupportedError for a weight that the model has not, and what
 * the readers throw; no adapter stays open then.
 */
export async function withAdapters(
  model: ModelDescription,
  adapters: readonly LoraOption[],
  isMerged: boolean,
): Promise<AdaptedModel> {
  const files: ModelFile[] = [];
  const close = async (): Promise<void> => {
    for (const file of files) await file.close();
  };
  try {
    const placed: Placed[] = [];
    for (const [adapter, { open, scale = 1 }] of adapters.entries()) {
      const lora = await openLora(await open(), (file) => files.push(file));
      placed.push(...pairsOn(model, lora, adapter, scale));
    }
    return { description: isMerged ? merged(model, placed) : beside(model, placed), close };
  } catch (e) {
    await close();
    throw e;
  }
}

/** Opens an adapter; `opened` is given the file as soon as somebody has to close it. */
async function openLora(from: ModelSource, opened: (file: ModelFile) => void): Promise<LoraFile> {
  const { folder } = from;
  const source = from.kind === 'file' ? from.source : await from.folder.open(PEFT_WEIGHTS);
  if (source === null) {
    throw new ConfigError(`${folder?.name}: has no ${PEFT_WEIGHTS}; give a folder that PEFT wrote, or a GGUF adapter`);
  }
  let file: ModelFile;
  try {
    file = await openModelFile(source, folder);
  } catch (e) {
    await source.close();
    throw e;
  }
  opened(file);
  if (file.format === 'gguf') return loraOfGguf(file);
  const config = (await folder?.open(PEFT_CONFIG)) ?? null;
  if (config === null) {
    throw new ConfigError(
      `${file.name}: has no ${PEFT_CONFIG} beside it, so its scale is not known; give the whole folder`,
    );
  }
  try {
    return loraOfPeft(await readJsonObject(config), file);
  } finally {
    await config.close();
  }
}

/** The adapter's pairs by the model's names of their weights. */
function pairsOn(model: ModelDescription, lora: LoraFile, adapter: number, scale: number): Placed[] {
  const { name, format, architecture } = lora;
  if (!isPlaceable(model, format)) {
    const isGguf = format === 'gguf';
    throw new UnsupportedError(
      `${name}: is an adapter ${isGguf ? 'in GGUF' : 'of a Hugging Face folder'}, the model is ${isGguf ? 'a Hugging Face folder' : `${model.architecture} in GGUF, whose order of rows is not known`}; give the model as ${isGguf ? 'a GGUF file' : 'its folder'}, or convert the adapter`,
    );
  }
  if (architecture !== undefined && architecture !== model.architecture) {
    throw new ConfigError(
      `${name}: general.architecture is ${quote(architecture)}, the model's is ${quote(model.architecture)}; it was trained on another model`,
    );
  }
  return [...lora.pairs].map(([loraName, ownPair]) => {
    const place = placeOf(model, format, loraName, ownPair);
    const w = place === undefined ? undefined : model.tensors.get(place.weight);
    if (place === undefined || w === undefined) {
      throw new UnsupportedError(
        `${name}: changes ${quote(loraName)}, which the model ${model.architecture} has not, or not in the adapter's layout`,
      );
    }
    checkFits(name, loraName, w, ownPair);
    const { weight, pair } = place;
    const total = Math.fround(lora.scaleOf(rankOf(pair)) * scale);
    if (!Number.isFinite(total)) {
      throw new ConfigError(
        `${name}: scale ${scale} makes a factor of ${total} for ${quote(loraName)}; use a smaller one`,
      );
    }
    return { weight, pair, scale: lora.scaleOf(rankOf(pair)) * scale, adapter };
  });
}

function beside(model: ModelDescription, placed: readonly Placed[]): ModelDescription {
  const tensors = new Map(model.tensors);
  const deltas = placed.map(({ weight, pair, scale, adapter }): LoraDelta => {
    const label = `lora${adapter}`;
    const [a, b] = (['a', 'b'] as const).map((part) => {
      const info = pair[part];
      const name = `${weight}.${label}_${part}`;
      tensors.set(name, info);
      return { name, dtype: dtypeOf(info), shape: info.shape };
    });
    return { weight, a: a!, b: b!, scale, label };
  });
  return {
    ...model,
    tensors,
    buildGraph: (activations, maxSeq) => withLora(model.buildGraph(activations, maxSeq), deltas),
  };
}

function merged(model: ModelDescription, placed: readonly Placed[]): ModelDescription {
  const tensors = new Map<string, TensorInfo>(model.tensors);
  const byWeight = groupedByWeight(placed);
  for (const [weight, pairs] of byWeight) tensors.set(weight, mergedWeight(model.tensors.get(weight)!, pairs));
  const changed = model.withTensors(tensors);
  return {
    ...changed,
    buildGraph: (activations, maxSeq) => {
      const graph = changed.buildGraph(activations, maxSeq);
      checkReadByLinears(graph, [...byWeight.keys()]);
      return graph;
    },
  };
}
