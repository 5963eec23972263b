import { ConfigError, FormatError } from '../core/errors.ts';
import type { ByteSource, SourceFolder } from '../core/host.ts';
import { JsonScanner } from './json_scanner.ts';
import type { ModelFile, TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';
import { readAll } from './read_all.ts';
import { openSafetensors } from './safetensors.ts';

/** A model of a thousand layers has an index of about 1 MB. */
const MAX_INDEX_BYTES = 1 << 26;

/** Where the index says that a tensor is, and the byte of its line. */
interface Place {
  readonly fileName: string;
  readonly at: number;
}

/**
 * Opens the shards that an index names:  {"metadata": {...}, "weight_map": {"<tensor>": "<file name>", ...}}
 *
 * Index and shards must agree both ways: a tensor is in the shard that the index names, and a shard has no tensor that the
 * index lacks or places elsewhere. The result's metadata is the first shard's; the result owns the shards, not `index`.
 * Throws FormatError, and ConfigError when a shard is missing; then no shard stays open.
 */
export async function openSafetensorsShards(index: ByteSource, folder: SourceFolder): Promise<ModelFile> {
  const places = readIndex(await readAll(index, MAX_INDEX_BYTES), index.name);
  const shards = new Map<string, ModelFile>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const { fileName } of places.values()) {
      if (!shards.has(fileName)) shards.set(fileName, await openShard(index, folder, fileName));
    }
    const tensors = new Map<string, TensorInfo>();
    for (const [name, { fileName, at }] of places) {
      const info = shards.get(fileName)?.tensors.get(name);
      if (!info) throw new FormatError(`${index.name}: tensor ${quote(name)} is not in its shard ${fileName}`, at);
      tensors.set(name, info);
    }
    for (const [fileName, shard] of shards) checkSurplus(index, shard, fileName, places);
    const metadata = shards.values().next().value?.metadata ?? new Map();
    return { format: 'safetensors', name: index.name, metadata, tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function readIndex(json: Uint8Array, name: string): Map<string, Place> {
  const scanner = new JsonScanner(json, name);
  let places: Map<string, Place> | undefined;
  scanner.object('the index', (key) => {
    if (key === 'weight_map') places = readWeightMap(scanner);
    else scanner.skip(quote(key));
  });
  scanner.end();
  if (places === undefined) throw new FormatError(`${name}: the index has no weight_map`, 0);
  return places;
}

function readWeightMap(scanner: JsonScanner): Map<string, Place> {
  const places = new Map<string, Place>();
  scanner.object('weight_map', (tensor) => {
    const at = scanner.position;
    const fileName = scanner.string(`weight_map ${quote(tensor)}`);
    // An index must not reach out of its folder.
    if (!/^[^/\\:\0]+\.safetensors$/.test(fileName)) {
      throw scanner.error(
        `weight_map ${quote(tensor)} is ${quote(fileName)}, expected the name of a .safetensors file`,
        at,
      );
    }
    places.set(tensor, { fileName, at });
  });
  return places;
}

async function openShard(index: ByteSource, folder: SourceFolder, fileName: string): Promise<ModelFile> {
  const source = await folder.open(fileName);
  if (source === null) {
    throw new ConfigError(`${index.name}: its shard ${fileName} is not in ${folder.name}; fetch the missing file`);
  }
  try {
    return await openSafetensors(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

function checkSurplus(index: ByteSource, shard: ModelFile, fileName: string, places: Map<string, Place>): void {
  for (const info of shard.tensors.values()) {
    const place = places.get(info.name);
    if (place?.fileName === fileName) continue;
    const where = place ? `places it in ${place.fileName}` : 'does not have it';
    throw new FormatError(`${shard.name}: has tensor ${quote(info.name)}, ${index.name} ${where}`, info.offset);
  }
}
